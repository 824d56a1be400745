package smalldisk

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// inside marks the process that may mount.
const inside = "ERBD_TEST_SMALLDISK"

// Inside reports whether this process may mount. Where it may not, Inside runs the test (of the top level, not a
// sub-test) again in a child process with a mount namespace of its own, which needs no privileges on most systems;
// the test passes or fails as it does there, and returns at once in this process. What the child mounts is gone when
// it ends. The test is skipped where the system refuses such namespaces.
func Inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	child := func(flags uintptr) (*exec.Cmd, error) {
		args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
		if deadline, ok := t.Deadline(); ok {
			args = append(args, "-test.timeout="+max(time.Second, time.Until(deadline)-5*time.Second).String())
		}
		cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
		if flags&syscall.CLONE_NEWUSER != 0 {
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
		}
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		cmd.Stderr = cmd.Stdout
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			t.Log(lines.Text())
			if strings.HasPrefix(lines.Text(), "--- SKIP: "+t.Name()) {
				defer t.Skip("the child process may not mount")
			}
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("in its namespace: %v", err)
		}
		return cmd, nil
	}
	_, err := child(syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS)
	if err != nil && os.Getuid() == 0 {
		_, err = child(syscall.CLONE_NEWNS)
	}
	if err != nil {
		t.Skipf("this system gives no mount namespaces: %v", err)
	}
	return false
}

// Disk is a mounted file system.
type Disk struct {
	t testing.TB
	// Dir is where it is mounted.
	Dir string
}

// Mount mounts an empty disk of a size in bytes, until the end of the test. The process must be Inside.
func Mount(t testing.TB, size int) *Disk {
	t.Helper()
	d := &Disk{t: t, Dir: t.TempDir()}
	err := syscall.Mount("tmpfs", d.Dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		t.Skipf("this system does not let its namespaces mount: %v", err)
	}
	require.NoError(t, err)
	t.Cleanup(func() { syscall.Unmount(d.Dir, syscall.MNT_DETACH) }) //nolint:errcheck // the namespace ends with the process
	return d
}

func (d *Disk) ballast() string { return filepath.Join(d.Dir, "ballast") }

// Fill leaves no byte free but left.
func (d *Disk) Fill(left int) {
	d.t.Helper()
	f, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(d.t, err)
	defer f.Close()
	page := make([]byte, 4<<10)
	for err == nil {
		_, err = f.Write(page)
	}
	require.ErrorIs(d.t, err, syscall.ENOSPC)
	if left > 0 {
		fi, err := f.Stat()
		require.NoError(d.t, err)
		require.NoError(d.t, f.Truncate(max(0, fi.Size()-int64(left))))
	}
}

// Empty removes what Fill wrote.
func (d *Disk) Empty() {
	d.t.Helper()
	require.NoError(d.t, os.RemoveAll(d.ballast()))
}

// ReadOnly makes the disk read-only, or writable again. Files that are open for writing keep it from becoming so.
func (d *Disk) ReadOnly(on bool) {
	d.t.Helper()
	flags := uintptr(syscall.MS_REMOUNT)
	if on {
		flags |= syscall.MS_RDONLY
	}
	require.NoError(d.t, syscall.Mount("tmpfs", d.Dir, "tmpfs", flags, ""))
}

// Freeze makes a folder of any disk read-only for what opens a file from then on, or takes that back. The process must
// be Inside.
func Freeze(t testing.TB, dir string, on bool) {
	t.Helper()
	if !on {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
			require.NoError(t, err)
		}
		return
	}
	require.NoError(t, syscall.Mount(dir, dir, "", syscall.MS_BIND, ""))
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, ""))
}
