// Command uirole is every role of the tests of the pages: it says what it does, and does nothing. It does not know any node.
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

var coded = []string{"node-prep", "docker", "etcd", "flannel", "k8s-master", "k8s-minion"}

type demo string

// Describe names it.
func (d demo) Describe() role.Info { return role.Info{Name: string(d), Version: "1"} }

// Apply takes some steps, as its attribs say.
func (d demo) Apply(ctx context.Context, on role.Target) (role.Result, error) {
	number := func(name string, or int) int {
		if n, err := strconv.Atoi(fmt.Sprint(on.Attribs[name])); err == nil {
			return n
		}
		return or
	}
	lines := number("docker-log-lines", 6)
	for i := range lines {
		cmd := fmt.Sprintf("systemctl %s %s.service # %d", []string{"show", "enable", "start", "is-active"}[i%4], d, i)
		if _, err := on.Conn.Exec(ctx, jig.Cmd{Argv: strings.Fields(cmd)}); err != nil {
			return role.Result{}, err
		}
	}
	select {
	case <-ctx.Done():
		return role.Result{}, ctx.Err()
	case <-time.After(time.Duration(number("pace", 0)) * time.Millisecond):
	}
	if s := on.Attribs["docker-storage"]; s == "devicemapper" {
		return role.Result{}, fmt.Errorf("docker.service does not start: storage driver %q is not in this kernel: set docker-storage to overlay2", s)
	}
	return role.Result{Changes: []role.Change{{Do: "create", What: "file", Name: "/etc/" + string(d) + ".conf"}, {Do: "start", What: "unit", Name: string(d) + ".service"}}}, nil
}

// Remove leaves nothing behind.
func (demo) Remove(context.Context, role.Target) error { return nil }

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "uirole: want the name of a role, or --names")
		os.Exit(plugin.NoSuchRole)
	}
	if os.Args[1] == "--names" {
		fmt.Println(strings.Join(coded, "\n"))
		return
	}
	plugin.Serve(demo(os.Args[1]))
}
