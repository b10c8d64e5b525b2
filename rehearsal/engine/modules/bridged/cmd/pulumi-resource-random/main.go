// Command pulumi-resource-random is Pulumi's random provider: the Terraform provider behind Pulumi's own bridge.
package main

import (
	"context"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"

	"holdfast.example/engine/bridged/random"
	"holdfast.example/engine/bridged/schema"
)

func main() {
	provider := random.Provider()
	pf.Main(context.Background(), provider.Name, provider, pf.ProviderMetadata{PackageSchema: schema.MustGenerate(random.Provider())})
}
