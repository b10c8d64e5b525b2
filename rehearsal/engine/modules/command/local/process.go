package local

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

const (
	// graceful is how long a cancelled command may take to end by itself after SIGTERM.
	graceful = 5 * time.Second
	// afterKill is how long to wait for a killed command's streams: a grandchild that left the group may hold them for ever.
	afterKill = 2 * time.Second
	// parentCheck is how often the plugin looks whether the engine that started it is still there.
	parentCheck = 250 * time.Millisecond
)

// process is one command to run.
type process struct {
	argv   []string
	dir    string
	env    []string
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// running holds the process groups of the commands that run now.
var running = struct {
	sync.Mutex
	groups map[int]struct{}
}{groups: map[int]struct{}{}}

// execute runs a command in a process group of its own and waits for it. When ctx is cancelled the whole group gets SIGTERM and, after
// a grace period, SIGKILL.
func execute(ctx context.Context, one process) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cancelled before it started: %w", err)
	}
	ended := make(chan error, 1)
	started := make(chan *exec.Cmd, 1)
	go func() {
		// The kernel ties Pdeathsig to the thread that starts the child: the thread must outlive it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := exec.Command(one.argv[0], one.argv[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = one.dir, one.env, one.stdin, one.stdout, one.stderr
		cmd.SysProcAttr = ownGroup()
		if err := cmd.Start(); err != nil {
			started <- nil
			ended <- err
			return
		}
		started <- cmd
		ended <- cmd.Wait()
	}()

	cmd := <-started
	if cmd == nil {
		return <-ended
	}
	group := cmd.Process.Pid
	remember(group)
	defer forget(group)

	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	signal(group, syscall.SIGTERM)
	if waitFor(ended, graceful) {
		signal(group, syscall.SIGKILL)
		return fmt.Errorf("cancelled: %w", ctx.Err())
	}
	signal(group, syscall.SIGKILL)
	waitFor(ended, afterKill)
	return fmt.Errorf("cancelled, and killed after %s: %w", graceful, ctx.Err())
}

// EndWithParent ends the plugin, and with it every command that runs, once its parent is no longer the engine that started it. Without
// it, commands of a killed engine would go on beside those of the next one.
func EndWithParent(engine int) {
	for os.Getppid() == engine {
		time.Sleep(parentCheck)
	}
	killAll()
	os.Exit(1)
}

func killAll() {
	running.Lock()
	defer running.Unlock()
	for group := range running.groups {
		signal(group, syscall.SIGKILL)
	}
}

func remember(group int) {
	running.Lock()
	defer running.Unlock()
	running.groups[group] = struct{}{}
}

func forget(group int) {
	running.Lock()
	defer running.Unlock()
	delete(running.groups, group)
}

func signal(group int, which syscall.Signal) {
	// ESRCH is the wanted end, and nothing is left to do about any other error.
	_ = syscall.Kill(-group, which)
}

func waitFor(ended <-chan error, deadline time.Duration) bool {
	select {
	case <-ended:
		return true
	case <-time.After(deadline):
		return false
	}
}
