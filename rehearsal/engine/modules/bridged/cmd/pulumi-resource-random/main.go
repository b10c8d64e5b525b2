package main

import (
	"context"

	"holdfast.example/engine/bridged/random"
	"holdfast.example/engine/bridged/schema"
	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
)

func main() {
	pf.Main(context.Background(), "random", random.Info(), pf.ProviderMetadata{PackageSchema: schema.Of(random.Info())})
}
