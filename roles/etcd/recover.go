package etcd

import (
	"context"
	"fmt"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// util is the program that makes data of a copy; it is on nodes only where one was needed.
const util = "/usr/local/bin/etcdutl"

// later is added to the revision of data that comes from a copy, so that no revision that a client has seen comes again.
const later = "1000000000"

// asideText stops etcd and moves its data out of the way. $1 unit, $2 bootstrap file, $3 id file, $4 data folder.
const asideText = `
systemctl stop "$1" 2>/dev/null || ! systemctl is-active --quiet "$1" || exit 1
rm -f -- "$2" "$3"
[ ! -e "$4/member" ] || mv -- "$4/member" "$4/member.aside-$(date +%Y%m%dT%H%M%S)"
sync
`

// halt has the member take part in nothing any more. Its data stays beside, for a person to look at.
func halt(ctx context.Context, on role.Target, c config) (crowbar.Data, error) {
	if _, err := jig.Run(ctx, on.Conn, jig.Script(asideText, unit, firstFile, idFile, c.DataDir)); err != nil {
		return nil, fmt.Errorf("stop etcd on %s and move its data aside: %w", on.Node, err)
	}
	on.Logf("etcd: stopped; its data is beside %s/member", c.DataDir)
	return crowbar.Data{"node": on.Node}, nil
}

// aloneText has the member begin a cluster of one with what it has; before that, its data is copied. $1 unit, $2 bootstrap
// file, $3 data folder.
const aloneText = `
[ -e "$3/member" ] || { echo "there is no data in $3" >&2; exit 1; }
systemctl stop "$1" 2>/dev/null || ! systemctl is-active --quiet "$1" || exit 1
copy=$3/member.before-recover
[ -e "$copy" ] || { rm -rf -- "$copy.part" && cp -a --reflink=auto -- "$3/member" "$copy.part" && sync && mv -- "$copy.part" "$copy"; } || exit 1
umask 077
printf 'ETCD_FORCE_NEW_CLUSTER=true\n' >"$2" && sync -- "$2" || exit 1
systemctl reset-failed "$1" 2>/dev/null
systemctl start "$1"
`

// doneText ends that: without the file another start is a plain one. $1 unit, $2 bootstrap file, $3 data folder.
const doneText = `rm -f -- "$2" && mv -T -- "$3/member.before-recover" "$3/member.aside-$(date +%Y%m%dT%H%M%S)" 2>/dev/null; sync`

// revive makes the member the only one of its cluster, with all that it has. The others have been lost, or stopped. Cut off
// anywhere, it is done again.
func revive(ctx context.Context, on role.Target, c config) (crowbar.Data, error) {
	if to, list, err := reach(ctx, on, c); err == nil {
		to.Close()
		return nil, crowbar.Errorf(crowbar.Conflict, "etcd on %s stays as it is: another member answers with a quorum of %d behind it, so nothing has to be recovered", on.Node, len(list))
	}
	self, err := etcdclient.Open(on.Conn, c.Admin, c.clientURL())
	if err != nil {
		return nil, err
	}
	defer self.Close()
	args := []string{unit, firstFile, c.DataDir}
	if etcdclient.Healthy(ctx, self) != nil {
		on.Logf("etcd: begin a cluster of one with the data on %s", on.Node)
		if _, err := jig.Run(ctx, on.Conn, jig.Script(aloneText, args...)); err != nil {
			return nil, linux.Explain(ctx, on.Conn, fmt.Errorf("begin a cluster of one with the data of etcd on %s: %w", on.Node, err), unit)
		}
	}
	err = role.Await(ctx, "etcd on "+on.Node+" to answer by itself", serveLimit, func(ctx context.Context) (bool, error) {
		err := etcdclient.Healthy(ctx, self)
		return err == nil, err
	})
	if err != nil {
		return nil, linux.Explain(ctx, on.Conn, err, unit)
	}
	if err := only(ctx, on, c, self); err != nil {
		return nil, err
	}
	if _, err := jig.Run(ctx, on.Conn, jig.Script(doneText, args...)); err != nil {
		return nil, fmt.Errorf("end the recovery of etcd on %s: %w", on.Node, err)
	}
	return look(ctx, on, c), nil
}

// only is an error unless the member is the one member of its cluster.
func only(ctx context.Context, on role.Target, c config, self *clientv3.Client) error {
	members, err := list(ctx, self)
	if err != nil {
		return err
	}
	if len(members) != 1 || !members[0].has(c.peerURL()) {
		return crowbar.Errorf(crowbar.Conflict, "etcd on %s is one of %d members that have a quorum: nothing has to be recovered", on.Node, len(members))
	}
	return nil
}

// copiedText makes the member's data of a copy. $1 etcdutl, $2 copy, $3 name, $4 data folder, $5 peer URL, $6 token.
const copiedText = `
set -e
rm -rf -- "$4/restoring" "$4/member"
"$1" snapshot restore "$2" --name "$3" --initial-cluster "$3=$5" --initial-advertise-peer-urls "$5" --initial-cluster-token "$6" \
	--data-dir "$4/restoring" --bump-revision ` + later + ` --mark-compacted
chown -R etcd:etcd "$4/restoring"
sync
mv -- "$4/restoring/member" "$4/member"
rm -rf -- "$4/restoring" "$2"
sync
`

// restore founds the cluster with what is in a backup.
func (r *run) restore(ctx context.Context) error {
	art, err := r.on.Artifacts.Stat(ctx, "backup/"+r.c.Restore)
	if err != nil {
		return fmt.Errorf("etcd-restore: %w", err)
	}
	if err := r.on.Artifacts.Put(ctx, "etcd/etcdutl", util, 0o755); err != nil {
		return err
	}
	file := r.c.DataDir + "/restore.db"
	if err := r.on.Artifacts.Put(ctx, art.Name, file, 0o600); err != nil {
		return err
	}
	r.on.Logf("etcd: begin with backup %s", r.c.Restore)
	cmd := jig.Script(copiedText, util, file, r.c.Name, r.c.DataDir, r.c.peerURL(), strings.ToLower(r.c.Restore))
	if _, err := jig.Run(ctx, r.on.Conn, cmd); err != nil {
		return fmt.Errorf("make the data of etcd on %s of backup %s: %w", r.on.Node, r.c.Restore, err)
	}
	return nil
}
