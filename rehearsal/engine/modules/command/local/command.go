// Package local holds the resource command:local:Command: its inputs, its outputs, and what happens to them in a life cycle.
//
// The package's name and the type's name make the token, so they are part of the contract.
package local

import (
	"context"

	"github.com/pulumi/pulumi-go-provider/infer"
	"github.com/pulumi/pulumi-go-provider/infer/types"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// Command is a local command that runs when its resource is created, updated or deleted.
//
// Only a change of triggers replaces it; a change of any other input updates it. No flow of secrets is declared: an output is
// secret when the program says so (additionalSecretOutputs), and an input that is kept as an output is secret as it came in.
type Command struct{}

var (
	_ infer.CustomUpdate[Inputs, Outputs] = Command{}
	_ infer.CustomDelete[Outputs]         = Command{}
)

// Inputs are what the program gives, by the names of the published schema.
type Inputs struct {
	Triggers *[]any `pulumi:"triggers,optional" provider:"replaceOnChanges"`

	Create *string `pulumi:"create,optional"`
	Update *string `pulumi:"update,optional"`
	Delete *string `pulumi:"delete,optional"`

	Stdin                  *string            `pulumi:"stdin,optional"`
	Logging                *Logging           `pulumi:"logging,optional"`
	Interpreter            *[]string          `pulumi:"interpreter,optional"`
	Dir                    *string            `pulumi:"dir,optional"`
	Environment            *map[string]string `pulumi:"environment,optional"`
	AssetPaths             *[]string          `pulumi:"assetPaths,optional"`
	ArchivePaths           *[]string          `pulumi:"archivePaths,optional"`
	AddPreviousOutputInEnv *bool              `pulumi:"addPreviousOutputInEnv,optional"`
}

// Results are what the last command that ran has left behind.
type Results struct {
	Stdout  string                            `pulumi:"stdout"`
	Stderr  string                            `pulumi:"stderr"`
	Assets  *map[string]*types.AssetOrArchive `pulumi:"assets,optional"`
	Archive *resource.Archive                 `pulumi:"archive,optional"`
}

// Outputs are what state keeps: the inputs as given, and the results.
type Outputs struct {
	Inputs
	Results
}

// Create runs the create command. A preview runs nothing and leaves every output unknown.
func (Command) Create(ctx context.Context, request infer.CreateRequest[Inputs]) (infer.CreateResponse[Outputs], error) {
	response := infer.CreateResponse[Outputs]{Output: Outputs{Inputs: request.Inputs}}
	id, err := resource.NewUniqueHex(request.Name, 8, 0)
	if err != nil {
		return response, err
	}
	response.ID = id
	if request.DryRun || request.Inputs.Create == nil {
		return response, nil
	}
	response.Output.Results, err = run(ctx, *request.Inputs.Create, request.Inputs, Results{})
	return response, err
}

// Update runs the update command or, where there is none, the create command again. With neither it keeps the last results.
func (Command) Update(ctx context.Context, request infer.UpdateRequest[Inputs, Outputs]) (infer.UpdateResponse[Outputs], error) {
	response := infer.UpdateResponse[Outputs]{Output: Outputs{Inputs: request.Inputs, Results: request.State.Results}}
	command := request.Inputs.Update
	if command == nil {
		command = request.Inputs.Create
	}
	if request.DryRun || command == nil {
		return response, nil
	}
	results, err := run(ctx, *command, request.Inputs, request.State.Results)
	response.Output.Results = results
	return response, err
}

// Delete runs the delete command with the inputs that state holds: the ones of the resource that goes, not of its successor.
func (Command) Delete(ctx context.Context, request infer.DeleteRequest[Outputs]) (infer.DeleteResponse, error) {
	if request.State.Delete == nil {
		return infer.DeleteResponse{}, nil
	}
	_, err := run(ctx, *request.State.Delete, request.State.Inputs, request.State.Results)
	return infer.DeleteResponse{}, err
}
