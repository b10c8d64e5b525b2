package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// run runs one command to its end and collects what it left behind. A failure names how the command ended, the command, and all it printed.
func run(ctx context.Context, command string, inputs Inputs, previous Results) (Results, error) {
	dir, err := workingDirectory(inputs)
	if err != nil {
		return previous, err
	}

	var stdout, stderr bytes.Buffer
	printed := &sharedBuffer{}
	shown := &statusLines{ctx: ctx}
	err = execute(ctx, process{
		argv:   append(interpreter(inputs), command),
		dir:    dir,
		env:    append(os.Environ(), addedEnvironment(inputs, previous)...),
		stdin:  stdin(inputs),
		stdout: io.MultiWriter(writers(&stdout, printed, shown, inputs.shows(logStdout))...),
		stderr: io.MultiWriter(writers(&stderr, printed, shown, inputs.shows(logStderr))...),
	})
	shown.flush()
	if err != nil {
		return previous, fmt.Errorf("%w: running %q:\n%s", err, command, printed.String())
	}

	results := Results{
		Stdout:  strings.TrimSuffix(stdout.String(), "\n"),
		Stderr:  strings.TrimSuffix(stderr.String(), "\n"),
		Assets:  previous.Assets,
		Archive: previous.Archive,
	}
	if inputs.AssetPaths != nil {
		if results.Assets, err = assetsIn(dir, *inputs.AssetPaths); err != nil {
			return previous, err
		}
	}
	if inputs.ArchivePaths != nil {
		if results.Archive, err = archiveIn(dir, *inputs.ArchivePaths); err != nil {
			return previous, err
		}
	}
	return results, nil
}

func workingDirectory(inputs Inputs) (string, error) {
	if inputs.Dir != nil {
		return *inputs.Dir, nil
	}
	return os.Getwd()
}

func interpreter(inputs Inputs) []string {
	if inputs.Interpreter != nil && len(*inputs.Interpreter) > 0 {
		return append([]string{}, *inputs.Interpreter...)
	}
	return []string{"/bin/sh", "-c"}
}

// addedEnvironment is what comes on top of the plugin's own environment: the program's variables, then the last run's output.
func addedEnvironment(inputs Inputs, previous Results) []string {
	var added []string
	if inputs.Environment != nil {
		for name, value := range *inputs.Environment {
			added = append(added, name+"="+value)
		}
	}
	if inputs.AddPreviousOutputInEnv != nil && !*inputs.AddPreviousOutputInEnv {
		return added
	}
	if previous.Stdout != "" {
		added = append(added, "PULUMI_COMMAND_STDOUT="+previous.Stdout)
	}
	if previous.Stderr != "" {
		added = append(added, "PULUMI_COMMAND_STDERR="+previous.Stderr)
	}
	return added
}

func stdin(inputs Inputs) io.Reader {
	if inputs.Stdin == nil || *inputs.Stdin == "" {
		return nil
	}
	return strings.NewReader(*inputs.Stdin)
}

func writers(captured *bytes.Buffer, printed *sharedBuffer, shown *statusLines, show bool) []io.Writer {
	if show {
		return []io.Writer{captured, printed, shown}
	}
	return []io.Writer{captured, printed}
}

// sharedBuffer takes both streams in the order in which they come.
type sharedBuffer struct {
	lock sync.Mutex
	all  bytes.Buffer
}

func (buffer *sharedBuffer) Write(chunk []byte) (int, error) {
	buffer.lock.Lock()
	defer buffer.lock.Unlock()
	return buffer.all.Write(chunk)
}

func (buffer *sharedBuffer) String() string {
	buffer.lock.Lock()
	defer buffer.lock.Unlock()
	return buffer.all.String()
}
