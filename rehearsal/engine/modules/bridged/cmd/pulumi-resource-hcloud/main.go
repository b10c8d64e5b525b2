// Command pulumi-resource-hcloud is Pulumi's Hetzner Cloud provider: the Terraform provider behind Pulumi's own bridge.
package main

import (
	"context"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"

	"holdfast.example/engine/bridged/hcloud"
	"holdfast.example/engine/bridged/schema"
)

func main() {
	provider := hcloud.Provider()
	pf.MainWithMuxer(context.Background(), provider.Name, provider, schema.MustGenerate(hcloud.Provider()))
}
