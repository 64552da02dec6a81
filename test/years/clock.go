package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/kubeclamp/kubeclamp/test/site"
)

// The file that says how far clocks are moved: clockMagic, two zeros, hours with seven bits in each byte. A container's is its
// termination log, which kubelet takes for text: hence seven.
const (
	clockName  = "kubeclamp-years"
	clockMagic = "kubeclampyears"
	clockSize  = 24
	furthest   = 1<<21 - 1
)

// clock is that of every program at once: those of this machine and of all nodes.
type clock struct {
	mu    sync.Mutex
	hours uint64
	files map[string][]byte // mapped, by path
	roots []string          // of nodes
}

// newClock is one of the programs in a folder. It goes on where it was for a cluster that is there already.
func newClock(bin string, there bool) (*clock, error) {
	c, name := &clock{files: map[string][]byte{}}, filepath.Join(bin, clockName)
	if b, err := os.ReadFile(name); err == nil && len(b) == clockSize && there {
		x := *at(b)
		c.hours = x&0x7f | x>>1&0x3f80 | x>>2&0x1fc000
	}
	return c, c.add(name)
}

// nodes adds those of a lab that runs.
func (c *clock) nodes(ctx context.Context, of site.Cluster) error {
	text, err := of.Lab(ctx, "status", "-o", "json")
	if err != nil {
		return err
	}
	var all []struct{ PID int }
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("the lab's status: %w", err)
	}
	for _, n := range all {
		root := fmt.Sprintf("/proc/%d/root", n.PID)
		if err := c.add(filepath.Join(root, "etc", clockName)); err != nil {
			return err
		}
		c.roots = append(c.roots, root)
	}
	return c.containers()
}

// containers adds those that have come.
func (c *clock) containers() error {
	for _, root := range c.roots {
		list, err := filepath.Glob(filepath.Join(root, "var/lib/kubelet/pods/*/containers/*/*"))
		if err != nil {
			return err
		}
		for _, name := range list {
			if err := c.add(name); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	return nil
}

// add writes a file and keeps it mapped. A container's is bound into it: it must stay the file that it is.
func (c *clock) add(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files[name] != nil {
		return nil
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	b := make([]byte, clockSize)
	copy(b, clockMagic)
	*at(b) = digits(c.hours)
	if _, err := f.WriteAt(b, 0); err != nil {
		return err
	}
	m, err := syscall.Mmap(int(f.Fd()), 0, clockSize, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map %s: %w", name, err)
	}
	c.files[name] = m
	return nil
}

// move moves all clocks on, by whole hours.
func (c *clock) move(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hours += uint64(by / time.Hour)
	for _, m := range c.files {
		atomic.StoreUint64(at(m), digits(c.hours))
	}
}

// moved is how far the clocks have been moved.
func (c *clock) moved() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.hours) * time.Hour
}

func at(file []byte) *uint64 { return (*uint64)(unsafe.Pointer(&file[clockSize-8])) }

func digits(hours uint64) uint64 { return hours&0x7f | hours&0x3f80<<1 | hours&0x1fc000<<2 }
