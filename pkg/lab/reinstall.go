package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Reinstall makes nodes what they were when they came: all that was on their disks is gone. Their addresses and host keys stay.
func (l *Lab) Reinstall(ctx context.Context, names ...string) error {
	unlock, err := l.lock()
	if err != nil {
		return err
	}
	defer unlock()
	rec, err := l.load()
	if err != nil {
		return err
	}
	if err := l.installSelf(); err != nil {
		return err
	}
	for _, name := range names {
		n, err := rec.node(name)
		if err == nil {
			err = errors.Join(l.powerOff(ctx, n), l.wipe(ctx, n))
		}
		if err == nil {
			err = l.powerOn(ctx, n)
		}
		if err != nil {
			return fmt.Errorf("install %s anew: %w", name, err)
		}
	}
	return nil
}

// wipe makes the disk of a node that is off an empty one.
func (l *Lab) wipe(ctx context.Context, n nodeRecord) error {
	dir := l.nodeDir(n.Name)
	disk := filepath.Join(dir, "disk")
	if err := errors.Join(os.RemoveAll(disk), os.MkdirAll(disk, 0o755), os.RemoveAll(filepath.Join(dir, "disk.img"))); err != nil {
		return err
	}
	return makeDisk(ctx, filepath.Join(dir, "disk.img"), n.Disk)
}
