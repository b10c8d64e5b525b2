package local

import (
	"bytes"
	"context"
	"sync"

	p "github.com/pulumi/pulumi-go-provider"
	"github.com/pulumi/pulumi-go-provider/infer"
)

// Logging says which of a command's streams the engine shows while it runs. Both are captured as outputs whatever it says.
type Logging string

const (
	logNone            Logging = "none"
	logStdout          Logging = "stdout"
	logStderr          Logging = "stderr"
	logStdoutAndStderr Logging = "stdoutAndStderr"
)

// Values makes Logging an enumeration of the schema.
func (Logging) Values() []infer.EnumValue[Logging] {
	return []infer.EnumValue[Logging]{
		{Name: "stdout", Value: logStdout, Description: "Show stdout, not stderr"},
		{Name: "stderr", Value: logStderr, Description: "Show stderr, not stdout"},
		{Name: "stdoutAndStderr", Value: logStdoutAndStderr, Description: "Show stdout and stderr"},
		{Name: "none", Value: logNone, Description: "Show nothing"},
	}
}

func (inputs Inputs) shows(stream Logging) bool {
	return inputs.Logging == nil || *inputs.Logging == logStdoutAndStderr || *inputs.Logging == stream
}

// longestLine is where a line without an end is cut for display, so that it neither grows without bound nor blocks the command.
const longestLine = 64 << 10

// statusLines hands each full line to the engine as a status message of the resource.
type statusLines struct {
	ctx  context.Context
	lock sync.Mutex
	rest []byte
}

func (lines *statusLines) Write(chunk []byte) (int, error) {
	lines.lock.Lock()
	defer lines.lock.Unlock()
	lines.rest = append(lines.rest, chunk...)
	for {
		end := bytes.IndexByte(lines.rest, '\n')
		next := end + 1
		if end < 0 {
			if len(lines.rest) < longestLine {
				return len(chunk), nil
			}
			end, next = longestLine, longestLine
		}
		lines.show(lines.rest[:end])
		lines.rest = lines.rest[next:]
	}
}

// flush shows what came after the last end of line.
func (lines *statusLines) flush() {
	lines.lock.Lock()
	defer lines.lock.Unlock()
	if len(lines.rest) > 0 {
		lines.show(lines.rest)
		lines.rest = nil
	}
}

func (lines *statusLines) show(line []byte) {
	p.GetLogger(lines.ctx).InfoStatus(string(bytes.TrimSuffix(line, []byte("\r"))))
}
