package annealer

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"maps"
	"sync"
	"unicode/utf8"
	"unique"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// sum is the SHA-256 of something.
type sum [sha256.Size]byte

// look is a command that reads a node, as it is kept between runs. The text is shared by all node-roles that have the same.
type look struct{ text unique.Handle[string] }

// lookText is a look's text, in JSON.
type lookText struct {
	Argv  []string
	Env   map[string]string `json:",omitempty"`
	Stdin *string           `json:",omitempty"`
}

func newLook(t lookText) (look, bool) {
	b, err := json.Marshal(t)
	return look{unique.Make(string(b))}, err == nil
}

// cmd is the command, to be run again.
func (l look) cmd() (jig.Cmd, error) {
	var t lookText
	if err := json.Unmarshal([]byte(l.text.Value()), &t); err != nil {
		return jig.Cmd{}, err
	}
	c := jig.Cmd{Argv: t.Argv, Env: t.Env}
	if t.Stdin != nil {
		c.Stdin = bytes.NewReader([]byte(*t.Stdin))
	}
	return c, nil
}

// answered is the sum of all that a command gave.
func answered(code int, stdout, stderr []byte) sum {
	out, bad := sha256.New(), sha256.New()
	out.Write(stdout)
	bad.Write(stderr)
	return answerOf(code, out, bad)
}

func answerOf(code int, stdout, stderr hash.Hash) sum {
	b := append(stdout.Sum(nil), stderr.Sum(nil)...)
	return sha256.Sum256(append(b, byte(code), byte(code>>8)))
}

// witness sees what a run does over its connection: a run that has only looked, once, can be told from its look alone the
// next time.
type witness struct {
	mu     sync.Mutex
	steps  int
	look   look
	answer sum
	known  bool // look and answer are whole
	stats  map[string]role.Artifact
}

// maxLook bounds the input of a look that is kept.
const maxLook = 256 << 10

// step notes that something else was done than the first command.
func (w *witness) step() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps++
}

// stat notes what the run was told of an artifact.
func (w *witness) stat(name string, a role.Artifact, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.steps++
		return
	}
	if w.stats == nil {
		w.stats = map[string]role.Artifact{}
	}
	w.stats[name] = a
}

// watch has the first command of a run watched; told says how it ended.
func (w *witness) watch(c jig.Cmd) (watched jig.Cmd, told func(jig.Exit, error)) {
	w.step()
	text := lookText{Argv: c.Argv, Env: maps.Clone(c.Env)}
	var input *tape
	if c.Stdin != nil {
		c.Stdin, input = taped(c.Stdin)
	}
	out, bad := sha256.New(), sha256.New()
	toOut, toBad := c.Stdout != nil, c.Stderr != nil
	if toOut {
		c.Stdout = io.MultiWriter(c.Stdout, out)
	}
	if toBad {
		c.Stderr = io.MultiWriter(c.Stderr, bad)
	}
	return c, func(e jig.Exit, err error) {
		if err != nil || !plain(text) {
			return
		}
		if input != nil {
			s, whole := input.text()
			if !whole {
				return
			}
			text.Stdin = &s
		}
		if !toOut {
			out.Write(e.Stdout)
		}
		if !toBad {
			bad.Write(e.Stderr)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.look, w.known = newLook(text)
		w.answer = answerOf(e.Code, out, bad)
	}
}

// plain says that JSON keeps a command as it is.
func plain(t lookText) bool {
	ok := true
	for _, a := range t.Argv {
		ok = ok && utf8.ValidString(a)
	}
	for _, v := range t.Env {
		ok = ok && utf8.ValidString(v)
	}
	return ok
}

// seen is what a run that only looked has seen.
type seen struct {
	look   look
	answer sum
	stats  map[string]role.Artifact
	only   bool // it did nothing else
}

func (w *witness) looked() seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return seen{w.look, w.answer, w.stats, w.known && w.steps == 1}
}

// tape keeps what is read through it.
type tape struct {
	r    io.Reader
	mu   sync.Mutex
	kept bytes.Buffer
	end  bool // it was read to its end
	over bool // it was too long
}

// taped gives a reader that can be set back where the original can.
func taped(r io.Reader) (io.Reader, *tape) {
	t := &tape{r: r}
	if s, ok := r.(io.Seeker); ok {
		return seekingTape{t, s}, t
	}
	return t, t
}

func (t *tape) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over = t.over || t.kept.Len()+n > maxLook; !t.over {
		t.kept.Write(p[:n])
	}
	t.end = t.end || errors.Is(err, io.EOF)
	return n, err
}

func (t *tape) text() (s string, whole bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s = t.kept.String()
	return s, t.end && !t.over && utf8.ValidString(s)
}

type seekingTape struct {
	*tape
	s io.Seeker
}

// Seek is only ever to the beginning.
func (t seekingTape) Seek(offset int64, whence int) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept.Reset()
	t.end, t.over = false, false
	return t.s.Seek(offset, whence)
}
