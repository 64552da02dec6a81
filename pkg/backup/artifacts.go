package backup

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// prefix begins the names under which roles are given the copies of etcd: backup/NAME.
const prefix = "backup/"

// Artifacts is a catalogue of binaries and images, as roles know it.
type Artifacts interface {
	Stat(ctx context.Context, name, arch string) (crowbar.Artifact, error)
	Open(ctx context.Context, name, arch string) (io.ReadCloser, crowbar.Artifact, error)
}

// With is a catalogue that has the backups as well.
func (b *Backups) With(next Artifacts) Artifacts { return both{b, next} }

type both struct {
	b    *Backups
	next Artifacts
}

// Stat finds one.
func (x both) Stat(ctx context.Context, name, arch string) (crowbar.Artifact, error) {
	short, is := strings.CutPrefix(name, prefix)
	if !is {
		return x.next.Stat(ctx, name, arch)
	}
	a, _, err := x.b.artifact(name, short)
	return a, err
}

// Open reads one.
func (x both) Open(ctx context.Context, name, arch string) (io.ReadCloser, crowbar.Artifact, error) {
	short, is := strings.CutPrefix(name, prefix)
	if !is {
		return x.next.Open(ctx, name, arch)
	}
	a, file, err := x.b.artifact(name, short)
	if err != nil {
		return nil, a, err
	}
	f, err := os.Open(file)
	return f, a, err
}

func (b *Backups) artifact(name, short string) (crowbar.Artifact, string, error) {
	one, dir, err := b.find(short)
	if err != nil {
		return crowbar.Artifact{}, "", err
	}
	for _, f := range one.Files {
		if f.Name == EtcdFile {
			return crowbar.Artifact{Name: name, Version: one.Etcd, SHA256: f.SHA256, Size: f.Bytes}, filepath.Join(dir, EtcdFile), nil
		}
	}
	return crowbar.Artifact{}, "", crowbar.Errorf(crowbar.Invalid, "backup %s is damaged: it names no %s", short, EtcdFile)
}
