package local

import "syscall"

// ownGroup starts a command in a process group of its own, and has the kernel kill it should the plugin be killed.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
