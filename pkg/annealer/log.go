package annealer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// logs is the folder of run logs.
type logs struct {
	dir  string
	keep int // runs of a node-role
	mu   sync.Mutex
	live map[logName]*runLog // of runs under way
}

type logName struct {
	id      crowbar.ID
	attempt uint64
}

func newLogs(dir string, keep int) *logs {
	return &logs{dir: dir, keep: keep, live: map[logName]*runLog{}}
}

// shard is how many node-roles share a folder: few enough to look one over at each run, and enough that a fleet's first runs
// are not as many new folders.
const shard = 64

func (l *logs) folder(id crowbar.ID) string {
	return filepath.Join(l.dir, strconv.FormatUint(uint64(id)/shard, 10))
}

func (l *logs) path(id crowbar.ID, attempt uint64) string {
	return filepath.Join(l.folder(id), id.String()+"-"+strconv.FormatUint(attempt, 10)+".log")
}

// attempts is every attempt that has a log, oldest first.
func (l *logs) attempts(id crowbar.ID) []uint64 {
	entries, _ := os.ReadDir(l.folder(id))
	var out []uint64
	for _, e := range entries {
		if of, name, is := strings.Cut(e.Name(), "-"); is && of == id.String() {
			if n, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 64); err == nil {
				out = append(out, n)
			}
		}
	}
	slices.Sort(out)
	return out
}

// open begins the log of a run.
func (l *logs) open(id crowbar.ID, attempt uint64, out *transcript) (*runLog, error) {
	f, err := l.file(id, attempt)
	if err != nil {
		return nil, err
	}
	r := &runLog{f: f, out: out, began: time.Now(), more: make(chan struct{})}
	name := logName{id, attempt}
	r.closed = func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.live, name)
	}
	l.mu.Lock()
	l.live[name] = r
	l.mu.Unlock()
	r.line("%s of role %s on node %s, attempt %d, %s", out.what, out.role, out.node, attempt, r.began.UTC().Format(time.RFC3339))
	return r, nil
}

// file makes the file of a run and drops old ones. The folder is looked over only where there can be too many.
func (l *logs) file(id crowbar.ID, attempt uint64) (*os.File, error) {
	if attempt > uint64(l.keep) {
		if had := l.attempts(id); len(had) >= l.keep {
			for _, n := range had[:len(had)-l.keep+1] {
				_ = os.Remove(l.path(id, n))
				// gofail: var oldLogRemoved struct{}
			}
		}
	}
	const how = os.O_CREATE | os.O_TRUNC | os.O_WRONLY
	f, err := os.OpenFile(l.path(id, attempt), how, 0o600)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if err := os.MkdirAll(l.folder(id), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(l.path(id, attempt), how, 0o600)
}

// runLog is the log of one run: a line for each thing done, with what it gave.
type runLog struct {
	out    *transcript
	began  time.Time
	closed func()

	mu   sync.Mutex
	f    *os.File
	over bool
	more chan struct{} // closed and replaced at each write
}

// line writes one entry: the time since the run began, and a text whose further lines are set in.
func (r *runLog) line(format string, a ...any) {
	text := r.out.mask(fmt.Sprintf(format, a...))
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n           | ")
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	// gofail: var beforeLogLine struct{}
	_, _ = fmt.Fprintf(r.f, "%9.3fs %s\n", time.Since(r.began).Seconds(), text)
	r.wake()
}

func (r *runLog) wake() {
	close(r.more)
	r.more = make(chan struct{})
}

// step writes an entry of something done over the connection.
func (r *runLog) step(began time.Time, err error, format string, a ...any) {
	text := fmt.Sprintf(format, a...) + " (" + since(began).String() + ")"
	if err != nil {
		text += ": " + err.Error()
	}
	r.line("%s", text)
}

func (r *runLog) exec(c jig.Cmd, exit jig.Exit, err error, took time.Duration) {
	argv := r.out.mask(strings.Join(c.Argv, " ")) // before it is cut: half of a secret is not known again
	if len(argv) > 400 {
		argv = argv[:400] + "..."
	}
	text := fmt.Sprintf("exec %s -> %d (%s)", strings.ReplaceAll(argv, "\n", " "), exit.Code, took.Round(time.Millisecond))
	if err != nil {
		text = fmt.Sprintf("exec %s did not end (%s): %s", argv, took.Round(time.Millisecond), err)
	}
	if c.Secret {
		r.line("%s [secret]", text)
		return
	}
	size, lines := 1<<10, 8
	if exit.Code != 0 {
		size, lines = 16<<10, 200
	}
	for _, o := range [][]byte{exit.Stdout, exit.Stderr} {
		if len(o) > 0 {
			text += "\n" + tail(r.out.mask(string(o)), size, lines)
		}
	}
	r.line("%s", text)
}

// lines writes which lines of files were changed: also those with a secret that is given back only now.
func (r *runLog) lines(res role.Result) {
	r.out.learnWall(res.Wall)
	for _, c := range res.Changes {
		switch {
		case c.More > 0:
			r.line("%s %s:\n%sand %d more lines", c.Do, c.Name, c.Unified, c.More)
		case c.Unified != "":
			r.line("%s %s:\n%s", c.Do, c.Name, c.Unified)
		}
	}
}

// end writes how the run ended.
func (r *runLog) end(o crowbar.Outcome) {
	for _, c := range o.Changes {
		r.line("changed: %s", c)
	}
	switch {
	case o.Lost:
		r.line("lost: %s", strings.TrimSpace(o.Status+" "+o.Failure))
	case o.Failure != "":
		r.line("failed: %s", o.Failure)
	default:
		r.line("done: %s", o.Status)
	}
}

func (r *runLog) close() {
	r.mu.Lock()
	r.over = true
	_ = r.f.Close()
	r.wake()
	r.mu.Unlock()
	r.closed()
}

// LogPath is the path of a run's log; attempt 0 is the newest that has one.
func (a *Annealer) LogPath(id crowbar.ID, attempt uint64) string {
	if attempt == 0 {
		if had := a.logs.attempts(id); len(had) > 0 {
			attempt = had[len(had)-1]
		}
	}
	return a.logs.path(id, attempt)
}

// Follow copies a run's log to w; with follow, until the run has ended. Attempt 0 is the newest.
func (a *Annealer) Follow(ctx context.Context, id crowbar.ID, attempt uint64, follow bool, w io.Writer) error {
	if attempt == 0 {
		had := a.logs.attempts(id)
		if len(had) == 0 {
			return crowbar.Errorf(crowbar.NotFound, "node-role %d has not run yet", id)
		}
		attempt = had[len(had)-1]
	}
	a.logs.mu.Lock()
	running := a.logs.live[logName{id, attempt}]
	a.logs.mu.Unlock()
	f, err := os.Open(a.logs.path(id, attempt))
	if errors.Is(err, fs.ErrNotExist) {
		return crowbar.Errorf(crowbar.NotFound, "node-role %d has no log of attempt %d: the last %d runs have one", id, attempt, a.logs.keep)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		var more <-chan struct{}
		if running != nil {
			running.mu.Lock()
			more = running.more
			if running.over {
				more = nil
			}
			running.mu.Unlock()
		}
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		if more == nil || !follow {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
