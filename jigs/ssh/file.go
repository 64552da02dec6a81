package ssh

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// putScript writes stdin to a temporary file beside $1 and renames it. The data must end with the word $3, which is cut
// off: without it the sender did not get to the end (it died, or the line broke), and nothing is changed. Temporary files
// that a power cut left behind are swept. The shell itself makes the file, and waits for a cat in the background: a shell
// that waits for one in the foreground heeds no signal until that ends, and a child that is signalled between its fork and
// its exec loses the signal, so that both would be killed for good, and the file left.
const putScript = `set -eu; trap '' PIPE
dir=$(dirname -- "$1"); tmp=$dir/.kubeclamp-put.$$
[ -d "$dir" ] || { echo "there is no folder $dir" >&2; exit 66; }
[ ! -d "$1" ] || { echo "it is a folder" >&2; exit 67; }
fail() {
	code=$?; trap - EXIT; set +e; rm -f -- "$tmp"
	df -Pk -- "$dir" 2>/dev/null | awk 'END { print "(" $4 " KiB of " $2 " free on " $6 ")" }' >&2
	exit $code
}
for old in "$dir"/.kubeclamp-put.*; do
	[ -e "$old" ] && { kill -0 "${old##*.}" 2>/dev/null || rm -f -- "$old"; }
done
rm -f -- "$tmp"; umask 077; set -C; trap fail EXIT; trap 'exit 74' HUP INT TERM
exec 3<&0 4>"$tmp"
cat <&3 >&4 &
wait $!
exec 3<&- 4>&-
[ "$(tail -c ${#3} -- "$tmp" | tr -d '\000')" = "$3" ] || { echo "the data did not arrive whole" >&2; exit 75; }
truncate -s -${#3} -- "$tmp"
chmod -- "$2" "$tmp"
sync -- "$tmp"
mv -fT -- "$tmp" "$1"
trap - EXIT
sync -- "$dir"`

// Put writes a file atomically: no reader ever sees half of it, and neither does a node that loses power.
func (c *conn) Put(ctx context.Context, path string, mode fs.FileMode, r io.Reader) error {
	if !strings.HasPrefix(path, "/") {
		return crowbar.Errorf(crowbar.Invalid, "put %q on %s: the path must be absolute", path, c.link.to)
	}
	var word [16]byte
	rand.Read(word[:])
	end := hex.EncodeToString(word[:])
	exit, err := c.Exec(ctx, jig.Cmd{
		Argv:  []string{"/bin/sh", "-c", putScript, "put", path, octal(mode), end},
		Stdin: io.MultiReader(r, strings.NewReader(end)),
	})
	if err != nil {
		return fmt.Errorf("put %s: %w", path, err)
	}
	if exit.Code == 0 {
		return nil
	}
	why := strings.Join(strings.Fields(string(exit.Stderr)), " ")
	switch {
	case exit.Code == 66:
		return crowbar.Errorf(crowbar.NotFound, "put %s on %s: %s: make it first: %w", path, c.link.to, why, fs.ErrNotExist)
	case exit.Code == 74 || exit.Code == 75 || exit.Code >= 128:
		return crowbar.Errorf(crowbar.Unavailable, "put %s on %s: interrupted: %s", path, c.link.to, why)
	case strings.Contains(why, "No space left"):
		return fmt.Errorf("put %s on %s: the disk is full: %s: make room on the node and retry", path, c.link.to, why)
	}
	return fmt.Errorf("put %s on %s: %s", path, c.link.to, why)
}

func octal(m fs.FileMode) string {
	bits := uint32(m.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if m&flag != 0 {
			bits |= bit
		}
	}
	return fmt.Sprintf("%04o", bits)
}

// getScript sends "+" and the file, or ends with 66 where there is none.
const getScript = `[ -e "$1" ] || exit 66
[ ! -d "$1" ] || { echo "it is a folder" >&2; exit 67; }
exec <"$1" && printf + && exec cat`

// Get reads a file as it is sent; closing the reader early stops the sending.
func (c *conn) Get(ctx context.Context, path string) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	type end struct {
		exit jig.Exit
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		exit, err := c.Exec(ctx, jig.Cmd{Argv: []string{"/bin/sh", "-c", getScript, "get", path}, Stdout: pw})
		ended <- end{exit, err}
		switch {
		case err != nil:
			pw.CloseWithError(fmt.Errorf("get %s: %w", path, err))
		case exit.Code != 0:
			pw.CloseWithError(fmt.Errorf("get %s from %s: %s", path, c.link.to, strings.TrimSpace(string(exit.Stderr))))
		default:
			pw.Close()
		}
	}()
	if _, err := io.ReadFull(pr, make([]byte, 1)); err != nil {
		e := <-ended
		cancel()
		if e.err == nil && e.exit.Code == 66 {
			return nil, crowbar.Errorf(crowbar.NotFound, "get %s from %s: %w", path, c.link.to, fs.ErrNotExist)
		}
		return nil, err
	}
	return &download{PipeReader: pr, cancel: cancel, ended: func() { <-ended }}, nil
}

type download struct {
	*io.PipeReader
	cancel context.CancelFunc
	ended  func()
	done   bool
}

// Close stops the sending and waits until the session's slot is free again.
func (d *download) Close() error {
	if d.done {
		return nil
	}
	d.done = true
	err := d.PipeReader.Close()
	d.cancel()
	d.ended()
	return err
}
