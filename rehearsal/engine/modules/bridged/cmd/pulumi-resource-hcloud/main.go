package main

import (
	"context"

	"holdfast.example/engine/bridged/hcloud"
	"holdfast.example/engine/bridged/schema"
	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
)

func main() {
	pf.MainWithMuxer(context.Background(), "hcloud", hcloud.Info(), schema.Of(hcloud.Info()))
}
