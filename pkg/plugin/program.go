package plugin

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// program is a role's program, open and hashed.
type program struct {
	role, path string
	file       *os.File
	sum        string // sha256, hex
	mark       string
}

// sums remembers what the programs were when they were first started: one that is changed under a running daemon is
// refused, so that a run's two halves are never done by two versions.
type sums struct {
	mu    sync.Mutex
	files map[string]string // mark of a file -> sha256
	roles map[string]string // role -> sha256
}

// open opens a program, hashes what it opened, and compares.
func (s *sums) open(role, path string) (*program, error) {
	p, err := s.read(role, path)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roles == nil {
		s.roles = map[string]string{}
	}
	if before, ok := s.roles[role]; ok && before != p.sum {
		p.file.Close()
		return nil, crowbar.Errorf(crowbar.Conflict, "program of role %s: %s was changed (sha256 %s, now %s): restart kubeclampd to use it", role, path, before, p.sum)
	}
	s.roles[role] = p.sum
	return p, nil
}

// replaced says whether a program is another one than before, and if so takes it for the role's from now on.
func (s *sums) replaced(role, path string) (before, now string, yes bool) {
	p, err := s.read(role, path)
	if err != nil {
		return "", "", false
	}
	p.file.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	before = s.roles[role]
	if before == "" || before == p.sum {
		return before, p.sum, false
	}
	s.roles[role] = p.sum
	return before, p.sum, true
}

func (s *sums) read(role, path string) (*program, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "program of role %s: %w", role, err)
	}
	p := &program{role: role, path: path, file: f}
	if err := s.sum(p); err != nil {
		f.Close()
		return nil, err
	}
	return p, nil
}

func (s *sums) sum(p *program) error {
	mode, mark, err := marked(p.file)
	if err != nil {
		return err
	}
	if mode&0o002 != 0 {
		return crowbar.Errorf(crowbar.Invalid, "program of role %s: everybody may write %s: run chmod o-w on it", p.role, p.path)
	}
	p.mark = mark
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[string]string{}
	}
	sum, ok := s.files[mark]
	if !ok {
		h := sha256.New()
		if _, err := io.Copy(h, p.file); err != nil {
			return err
		}
		sum = hex.EncodeToString(h.Sum(nil))
		s.files[mark] = sum
	}
	p.sum = sum
	return nil
}

// unchanged says that the file is as it was when it was hashed. A file that is being executed cannot be written, so asking
// this once it has been started is enough.
func (p *program) unchanged() error {
	_, mark, err := marked(p.file)
	if err == nil && mark != p.mark {
		err = crowbar.Errorf(crowbar.Conflict, "program of role %s: %s was changed while it was started: it was ended before it was given anything; see who writes there", p.role, p.path)
	}
	return err
}

// marked is what changes whenever a file's content does.
func marked(f *os.File) (mode uint32, mark string, err error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return 0, "", err
	}
	return st.Mode, fmt.Sprint(st.Dev, st.Ino, st.Size, st.Mtim, st.Ctim), nil
}
