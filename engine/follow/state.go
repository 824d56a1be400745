package follow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/erbd/erbd/engine/filelock"
)

// stateVersion is the form of the state file that this version reads and writes.
const stateVersion = 1

// maxFinished bounds the fingerprints of files that are done with.
const maxFinished = 64

// savedState is the state file. It holds no data of events.
type savedState struct {
	Version int       `json:"version"`
	Log     string    `json:"log"`
	Saved   time.Time `json:"saved,omitzero"`
	// Files are those that are read, the log last.
	Files []savedFile `json:"files"`
	// Finished files are not to be read again under another name.
	Finished []fingerprint `json:"finished,omitempty"`
}

type savedFile struct {
	ID     string `json:"id"`
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
	// Offset is where to go on, in bytes; Plan the ends of the messages behind it that may be stored already.
	Offset int64       `json:"offset"`
	Plan   []int64     `json:"plan,omitempty"`
	Head   fingerprint `json:"head"`
}

// lockState keeps a second process off the state file. The lock is a file of its own, since the state is replaced.
func lockState(state string) (*os.File, error) {
	file, err := os.OpenFile(state+".lock", os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("%w: %w: name another one that can be written", ErrState, err)
	}
	// Without locks on this system the operator must see to it that only one process follows.
	if err := filelock.Try(file); err != nil && !errors.Is(err, filelock.ErrUnsupported) {
		_ = file.Close()
		if errors.Is(err, filelock.ErrHeld) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("state file %s: %w", state, err)
	}
	return file, nil
}

// readState returns the state, a new one where there is no file.
func readState(path, log string) (*savedState, error) {
	st := &savedState{Version: stateVersion, Log: log}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return st, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	again := "remove it to publish the log from its beginning, or name another one"
	if err := json.Unmarshal(data, st); err != nil {
		return nil, fmt.Errorf("%w: %s: %w: %s", ErrState, path, err, again)
	}
	if st.Version != stateVersion {
		return nil, fmt.Errorf("%w: %s has version %d where %d is known: %s", ErrState, path, st.Version, stateVersion, again)
	}
	if st.Log != log {
		return nil, fmt.Errorf("%w: %s is that of %s: %s", ErrState, path, st.Log, again)
	}
	for _, file := range st.Files {
		bad := file.ID == "" || file.Offset < 0 || file.Head.Length < 0 || file.Head.Length > headSize
		last := file.Offset
		for _, end := range file.Plan {
			bad, last = bad || end <= last, end
		}
		if bad {
			return nil, fmt.Errorf("%w: %s is damaged: %s", ErrState, path, again)
		}
	}
	return st, nil
}

// save replaces the state file as a whole, on the disk before the name.
func (f *follower) save() error {
	st := savedState{Version: stateVersion, Log: f.path, Saved: time.Now().UTC(), Files: []savedFile{}, Finished: f.finished}
	for _, s := range f.sources {
		st.Files = append(st.Files, s.saved())
	}
	data, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	if err := replace(f.state, append(data, '\n')); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	f.dirty = false
	return nil
}

func replace(path string, data []byte) error {
	next := path + ".new"
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	if e := file.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync() // not every file system can; then the older state comes back, and with it the same messages
		_ = dir.Close()
	}
	return nil
}

// persist saves the state, trying until ctx ends. It reports whether it is saved.
func (f *follower) persist(ctx context.Context) bool {
	wait := waitMin
	for {
		err := f.save()
		if err == nil {
			f.wait("", nil)
			return true
		}
		f.wait("the state file cannot be written: waiting until it can", err)
		if sleep(ctx, wait) != nil {
			return false
		}
		wait = min(2*wait, waitMax)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
