package etcd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// before is the snapshot that is taken on a member before its binaries are replaced.
const before = "/var/lib/kubeclamp/etcd/before-upgrade.db"

// saveText saves the member's data with the etcdctl that is there. $1 etcdctl, $2 certificates, $3 endpoint, $4 file.
const saveText = `set -e
umask 077
mkdir -p "${4%/*}"
rm -f "$4.part"
"$1" --endpoints "$3" --cacert "$2/ca.crt" --cert "$2/admin.crt" --key "$2/admin.key" snapshot save "$4.part" >/dev/null
mv -f "$4.part" "$4"`

// upgrade replaces the member's binaries by those of another version: its data is saved, and where the new version does not serve, the
// one before it is put back.
func (r *run) upgrade(ctx context.Context, plan linux.Todo) error {
	version := r.facts.Artifacts[role.At("etcd/etcd", r.c.Release)].Version
	if r.local.Running {
		if _, err := jig.Run(ctx, r.on.Conn, jig.Script(saveText, ctl, pkiDir, r.c.localURL(), before)); err != nil {
			return fmt.Errorf("snapshot of etcd on %s before its upgrade: %w", r.on.Node, err)
		}
	}
	return r.aside(ctx, true, func() error {
		err := linux.Make(ctx, r.on, plan)
		if err == nil {
			err = r.answers(ctx)
		}
		if err == nil {
			r.changes = append(r.changes, plan.Changes...)
			return nil
		}
		return r.back(ctx, plan, version, linux.Explain(ctx, r.on.Conn, err, unit))
	})
}

// reader is the unit that reads this node's member alone, where it is on the node: it would go on without its store, and its
// clients would wait.
const reader = "kube-apiserver.service"

// stopReader prints whether it ran. $1 unit.
const stopReader = `systemctl is-active --quiet "$1" || exit 0
systemctl stop "$1" && echo stopped`

// aside does what restarts etcd while the unit that reads it has left: that says to its clients that it goes, and lets them finish.
// Leadership has been handed over by then.
// A run that dies meanwhile leaves it stopped; the role whose unit it is comes after this one, and starts it.
func (r *run) aside(ctx context.Context, restart bool, do func() error) error {
	if !restart || !r.local.Running {
		return do()
	}
	out, err := jig.Run(ctx, r.on.Conn, jig.Script(stopReader, reader))
	if err != nil {
		return fmt.Errorf("stop %s on %s before etcd is restarted: %w", reader, r.on.Node, err)
	}
	r.stepDown(ctx)
	err = do()
	if strings.TrimSpace(out) != "stopped" {
		return err
	}
	if _, bad := jig.Run(context.WithoutCancel(ctx), r.on.Conn, jig.Cmd{Argv: []string{"systemctl", "start", reader}}); bad != nil {
		err = errors.Join(err, fmt.Errorf("start %s on %s again: %w", reader, r.on.Node, bad))
	}
	return err
}

// stepDown hands leadership over, so that clients wait for no election. That it cannot is no reason to stop.
func (r *run) stepDown(ctx context.Context) {
	self, err := etcdclient.Open(r.on.Conn, r.c.Admin, r.c.clientURL())
	if err != nil {
		return
	}
	defer self.Close()
	if m, ok := own(r.local.Members, r.c.peerURL()); ok {
		handOver(ctx, r.on, self, m, r.heirs(r.local.Members))
	}
}

// heirs is the members in the order in which leadership goes to them: to one that has the new version, else to the node whose turn
// comes last, and to one that leaves as well only where there is no other. So it moves as seldom as can be.
func (r *run) heirs(list []member) []member {
	rank := func(m member) int {
		for i, p := range r.on.PeersOf("etcd") {
			if !m.has(etcdclient.Endpoint(p.Address, r.c.PeerPort)) {
				continue
			}
			if !p.Settled {
				return 1000
			}
			if has, _ := p.Wall["etcd-server-version"].(string); has != "" && has != r.local.Version {
				return -1000
			}
			return -i
		}
		return 0
	}
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b member) int { return rank(a) - rank(b) })
	return out
}

// answers waits until the member answers with a quorum behind it.
func (r *run) answers(ctx context.Context) error {
	to, err := etcdclient.Open(r.on.Conn, r.c.Admin, r.c.clientURL())
	if err != nil {
		return err
	}
	defer to.Close()
	return role.Await(ctx, "etcd on "+r.on.Node+" to answer with a quorum", serveLimit, func(ctx context.Context) (bool, error) {
		err := etcdclient.Healthy(ctx, to)
		return err == nil, err
	})
}

func (r *run) back(ctx context.Context, plan linux.Todo, version string, why error) error {
	r.on.Logf("etcd %s does not serve: put the previous version back", version)
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 4*time.Minute)
	defer stop()
	err := linux.Back(ctx, r.on, plan, linux.Unit{Name: unit})
	if err == nil {
		err = r.answers(ctx)
	}
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "etcd %s does not serve on %s, and neither does the version before it, which was put back (%w): the other members were left alone; the data as it was before is in %s there. Why the new one did not: %w",
			version, r.on.Node, err, before, why)
	}
	return crowbar.Errorf(crowbar.Invalid, "etcd %s does not serve on %s: its version before that was put back there and serves, and no other member was touched. Set etcd-version to another version, or mend the cause and retry. Why it did not: %w",
		version, r.on.Node, why)
}
