package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Reload loads a new snapshot and swaps it in as a whole. On an error the old one stays in force, untouched.
// Settings that need a restart are those in Snapshot.Restart: they are logged and shown, and all else is applied.
// After the stop of Run it returns ErrStopped.
func (d *Daemon) Reload(ctx context.Context) error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.stopped {
		return ErrStopped
	}
	err := d.reload(ctx)
	if err != nil && ctx.Err() != nil {
		return err // it says nothing about the files
	}
	old := d.snapshot.Load()
	d.ledger.reloaded(err == nil, old.Hash)
	if err != nil {
		text := err.Error()
		if last := d.lastFault.Swap(&text); last == nil || *last != text {
			d.log.Error("the new configuration is not used: the one before stays in force", "error", err)
		}
		return err
	}
	if d.lastFault.Swap(nil) != nil {
		d.log.Info("the configuration is in order again", "config", d.snapshot.Load().Hash)
	}
	return nil
}

// Errors of Reload.
var (
	// ErrRestart marks a snapshot that cannot take the place of the one in force: it has other backends.
	ErrRestart = errors.New("the change needs a restart")
	// ErrStopped: the daemon does not serve any more.
	ErrStopped = errors.New("the daemon stops")
)

// needsRestart says once which settings wait for a restart.
func (d *Daemon) needsRestart(keys []string) {
	before := d.restart.Swap(&keys)
	d.ledger.restart(len(keys))
	if before == nil && len(keys) == 0 || before != nil && slices.Equal(*before, keys) {
		return
	}
	if len(keys) == 0 {
		d.log.Info("no setting needs a restart any more")
		return
	}
	d.log.Warn("settings that need a restart have changed: they stay as they were until then, all others are applied", "settings", strings.Join(keys, ", "))
}

// waitsForRestart are the settings that changed but need a restart.
func (d *Daemon) waitsForRestart() []string {
	if keys := d.restart.Load(); keys != nil {
		return *keys
	}
	return nil
}

func (d *Daemon) reload(ctx context.Context) error {
	snap, err := d.opt.Load(ctx)
	if err != nil {
		return err
	}
	old := d.snapshot.Load()
	if snap.Hash == old.Hash {
		d.needsRestart(snap.Restart)
		return nil
	}
	if err := sameBackends(old, snap); err != nil {
		return err
	}
	if err := d.ensure(ctx, snap); err != nil {
		return err
	}
	d.logs.apply(snap)
	if run := d.runCtx.Load(); run != nil {
		if err := d.lanes.apply(*run, snap); err != nil {
			return err
		}
	}
	d.snapshot.Store(snap)
	d.needsRestart(snap.Restart)
	d.inForce(snap)
	d.log.Info("new configuration", "config", snap.Hash, "routers", len(snap.Routers.All()))
	return nil
}

func sameBackends(old, snap *Snapshot) error {
	for _, b := range snap.Backends {
		if old.backend(b.Name) == nil {
			return fmt.Errorf("backend %s is switched on: %w", b.Name, ErrRestart)
		}
	}
	for _, b := range old.Backends {
		if snap.backend(b.Name) == nil {
			return fmt.Errorf("backend %s is switched off: %w", b.Name, ErrRestart)
		}
	}
	return nil
}

// endReloads waits for a reload under way; there is none afterwards.
func (d *Daemon) endReloads() {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	d.stopped = true
}
