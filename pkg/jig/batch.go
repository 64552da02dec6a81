package jig

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Batch makes one command of several, so that they cost one round trip. They run one after the other, each with its own
// environment and input, whatever those before it ended with; an input that several of them have travels once. Each finds
// in KUBECLAMP_WAITED how many milliseconds it waited for those before it. Stdout,
// Stderr and Timeout of the parts are not looked at. split takes the answer apart again; it has fewer parts where the
// batch was cut off, and the shell's word on stderr about one that was killed.
func Batch(parts []Cmd) (whole Cmd, split func(Exit) []Exit, err error) {
	mark := rand.Text() // what nobody can print by chance
	var text strings.Builder
	text.WriteString("{\n" + waited) // all of it is read before it starts
	inputs := map[string]int{}
	for _, p := range parts {
		if err := batchPart(&text, inputs, p); err != nil {
			return Cmd{}, nil, err
		}
		fmt.Fprintf(&text, "printf '\\n%s %%d\\n' $?\nprintf '\\n%s 0\\n' >&2\n", mark, mark)
	}
	text.WriteString("} </dev/null\n")
	return Script(text.String()), func(e Exit) []Exit { return unbatch(e, mark) }, nil
}

// waited sets up the count of milliseconds since the batch began, without starting a process.
const waited = `uptime() {
	up=1.00
	[ -r /proc/uptime ] && read -r up _ </proc/uptime
	case $up in 0.*) up=1.00 ;; esac
	up=${up%.*}${up#*.}
}
uptime
began=$up
`

func batchPart(text *strings.Builder, inputs map[string]int, p Cmd) error {
	if len(p.Argv) == 0 || p.Argv[0] == "" {
		return crowbar.Errorf(crowbar.Invalid, "a command without a name")
	}
	for i, a := range p.Argv {
		if strings.IndexByte(a, 0) >= 0 {
			return crowbar.Errorf(crowbar.Invalid, "argument %d of %s has a NUL byte in it", i, p.Argv[0])
		}
	}
	env, err := Exports(p.Env)
	if err != nil {
		return err
	}
	if p.Stdin != nil {
		b, err := io.ReadAll(p.Stdin)
		if err != nil {
			return fmt.Errorf("input of %s: %w", p.Argv[0], err)
		}
		if bytes.IndexByte(b, 0) >= 0 {
			return crowbar.Errorf(crowbar.Invalid, "the input of %s has a NUL byte in it", p.Argv[0])
		}
		n, known := inputs[string(b)]
		if !known {
			n = len(inputs)
			inputs[string(b)] = n
			fmt.Fprintf(text, "in%d=%s\n", n, Quote(string(b)))
		}
		fmt.Fprintf(text, "printf %%s \"$in%d\" | ", n)
	}
	text.WriteString("(uptime; export KUBECLAMP_WAITED=$(((up - began) * 10))\n" + env + "\nexec")
	for _, a := range p.Argv {
		text.WriteString(" " + Quote(a))
	}
	text.WriteString(")\n")
	return nil
}

func unbatch(e Exit, mark string) []Exit {
	var out []Exit
	for stdout, stderr := e.Stdout, e.Stderr; ; {
		var part Exit
		var code string
		var ok, ok2 bool
		part.Stdout, stdout, code, ok = cutAt(stdout, mark)
		part.Stderr, stderr, _, ok2 = cutAt(stderr, mark)
		n, err := strconv.Atoi(code)
		if !ok || !ok2 || err != nil {
			return out
		}
		part.Code = n
		out = append(out, part)
	}
}

// cutAt gives what stands before a mark's line, and what after it; word is the line's second word.
func cutAt(b []byte, mark string) (before, after []byte, word string, ok bool) {
	before, rest, ok := bytes.Cut(b, []byte("\n"+mark+" "))
	if !ok {
		return nil, nil, "", false
	}
	line, after, ok := bytes.Cut(rest, []byte("\n"))
	return before, after, string(line), ok
}
