package ssh

import (
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// prologue runs in the login shell before the command. It tells the process group on stderr (so that it can be killed),
// adds the folders of system programs, and makes messages English. What it prints is taken out again.
const prologue = `printf '%s %s\n' ` + pidMark + ` "$$" >&2; PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" LC_ALL=C; export PATH LC_ALL; `

// pidMark begins the line on stderr that tells the process group.
const pidMark = "kubeclamp-group-7f3a9c"

// commandLine quotes a command for the login shell. The environment is not put in it, where other users of the node could
// read it, but in head, which must be sent on stdin before anything else.
func commandLine(argv []string, env map[string]string, sudo bool) (text string, head string, err error) {
	if len(argv) == 0 || argv[0] == "" {
		return "", "", crowbar.Errorf(crowbar.Invalid, "a command without a name")
	}
	words := make([]string, len(argv))
	for i, a := range argv {
		if strings.IndexByte(a, 0) >= 0 {
			return "", "", crowbar.Errorf(crowbar.Invalid, "argument %d of %s has a NUL byte in it: give such text on stdin", i, argv[0])
		}
		words[i] = jig.Quote(a)
	}
	text = "exec " + strings.Join(words, " ")
	if len(env) > 0 {
		if head, err = jig.Exports(env); err != nil {
			return "", "", err
		}
		// dd reads byte by byte: nothing of the command's own stdin is taken.
		text = `eval "$(dd bs=1 count=` + strconv.Itoa(len(head)) + ` 2>/dev/null)"; ` + text
	}
	if sudo {
		text = "exec sudo -n -- /bin/sh -c " + jig.Quote(`PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" LC_ALL=C; export PATH LC_ALL; `+text)
	}
	if len(text) > maxCommand {
		return "", "", crowbar.Errorf(crowbar.Invalid, "the command line of %s has %d bytes, more than %d: give such text on stdin", argv[0], len(text), maxCommand)
	}
	return prologue + text, head, nil
}
