// Package work is what both tools have to do in the comparison: 60 resources a node, in four roles of fifteen. It does not
// know who does it.
package work

import "fmt"

// Roles is how many roles the work has.
const Roles = 4

// File is a file with known content.
type File struct{ Path, Content string }

// Command is a command that makes a file, and is run where that is missing.
type Command struct{ Text, Creates string }

// Part is the work of one role: 3 folders, 3 files, 3 lines of a file that is shared, 2 unit files, 2 units that are on and
// start at boot, 2 commands.
type Part struct {
	Dirs     []string
	Files    []File
	Shared   string // the file of Lines
	Lines    []string
	Units    []File // Path is in /etc/systemd/system
	Commands []Command
}

// Of is the work of role n, counted from 1. Each tool has a prefix of its own, so that both can do it on the same nodes.
func Of(prefix string, n int) Part {
	root := fmt.Sprintf("/srv/%s/%d", prefix, n)
	p := Part{Dirs: []string{root, root + "/data", root + "/data/deep"}, Shared: root + "/shared.conf"}
	for i := 1; i <= 3; i++ {
		p.Files = append(p.Files, File{fmt.Sprintf("%s/file-%d.conf", root, i), fmt.Sprintf("# role %d, file %d\nlisten = 127.0.0.1:%d\nworkers = 4\n", n, i, 20000+100*n+i)})
		p.Lines = append(p.Lines, fmt.Sprintf("setting.%d.%d = on", n, i))
	}
	for i := 1; i <= 2; i++ {
		p.Units = append(p.Units, File{fmt.Sprintf("/etc/systemd/system/%s-%d-%d.service", prefix, n, i),
			fmt.Sprintf("[Unit]\nDescription=Unit %d of role %d\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n\n[Install]\nWantedBy=multi-user.target\n", i, n)})
		made := fmt.Sprintf("%s/made-%d", root, i)
		p.Commands = append(p.Commands, Command{"echo made >" + made, made})
	}
	return p
}

// Resources is how many things a part asks for.
func (p Part) Resources() int {
	return len(p.Dirs) + len(p.Files) + len(p.Lines) + 2*len(p.Units) + len(p.Commands)
}
