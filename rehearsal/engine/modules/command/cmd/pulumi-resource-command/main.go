// Command pulumi-resource-command stands in for Pulumi's official command plugin, which cannot be had from a package registry.
//
// It serves command:local:Command with the contract that @pulumi/command 1.2.1 publishes in its types and its documentation, and nothing
// else of that package: any other token is refused in words. Holdfast uses it only where the official plugin cannot be downloaded.
package main

import (
	"context"
	"fmt"
	"os"

	"holdfast.example/engine/command/local"
)

// version is what the npm SDK asks the engine for.
const version = "1.2.1"

func main() {
	go local.EndWithParent(os.Getppid())
	provider := onlyLocalCommand(newProvider())
	if err := provider.Run(context.Background(), "command", version); err != nil {
		fmt.Fprintln(os.Stderr, "pulumi-resource-command:", err)
		os.Exit(1)
	}
}
