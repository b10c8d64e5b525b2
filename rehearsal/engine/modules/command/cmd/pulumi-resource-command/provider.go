package main

import (
	"context"
	"fmt"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/middleware/schema"

	"holdfast.example/engine/command/local"
)

// token is the one resource type of the published package that this plugin serves.
const token = "command:local:Command"

func newProvider() p.Provider {
	return infer.Provider(infer.Options{
		Metadata: schema.Metadata{
			DisplayName: "Command (Holdfast's stand-in)",
			Description: "Runs local commands in a resource's life cycle: command:local:Command of @pulumi/command " + version + ".",
			License:     "MIT",
			Publisher:   "Holdfast",
		},
		Resources: []infer.InferredResource{infer.Resource(&local.Command{})},
	})
}

// onlyLocalCommand refuses every other token of the published package by name, where the framework would say "not found".
func onlyLocalCommand(provider p.Provider) p.Provider {
	refuse := func(asked string) error {
		return fmt.Errorf("%s is not served: this plugin is Holdfast's stand-in for pulumi-resource-command v%s and serves %s alone; "+
			"on a machine that can download Pulumi's official plugin, run `pulumi plugin install resource command %s`",
			asked, version, token, version)
	}
	check, read, remove := provider.Check, provider.Read, provider.Delete

	// A resource that the program asks for passes Check first; one that is in state alone is read or deleted.
	provider.Check = func(ctx context.Context, request p.CheckRequest) (p.CheckResponse, error) {
		if request.Urn.Type() != token {
			return p.CheckResponse{}, refuse(string(request.Urn.Type()))
		}
		return check(ctx, request)
	}
	provider.Read = func(ctx context.Context, request p.ReadRequest) (p.ReadResponse, error) {
		if request.Urn.Type() != token {
			return p.ReadResponse{}, refuse(string(request.Urn.Type()))
		}
		return read(ctx, request)
	}
	provider.Delete = func(ctx context.Context, request p.DeleteRequest) error {
		if request.Urn.Type() != token {
			return refuse(string(request.Urn.Type()))
		}
		return remove(ctx, request)
	}
	provider.Invoke = func(_ context.Context, request p.InvokeRequest) (p.InvokeResponse, error) {
		return p.InvokeResponse{}, refuse(string(request.Token))
	}
	return provider
}
