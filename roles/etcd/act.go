package etcd

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// The actions of the role.
const (
	actSnapshot = "snapshot" // a copy of all that the member has, in etcd's own form
	actLook     = "look"     // how the member is, also where there is no quorum
	actHalt     = "halt"     // the member stops; its data is moved aside
	actRevive   = "revive"   // the member becomes the only one of its cluster, with all that it has
)

// Act does one of them.
func (etcd) Act(ctx context.Context, on role.Target, do role.Action) (crowbar.Data, error) {
	c, err := configure(on)
	if err != nil {
		return nil, err
	}
	switch do.Name {
	case actLook:
		return look(ctx, on, c), nil
	case actHalt:
		return halt(ctx, on, c)
	case actRevive:
		return revive(ctx, on, c)
	case role.Forget:
		return nil, forget(ctx, on, c, do)
	case role.Strays:
		return strays(ctx, on, c)
	}
	return snapshot(ctx, on, c, do.Out)
}

// snapshot copies what the member has. It answers a linearizable read first: so it has all that anybody was told of as written.
func snapshot(ctx context.Context, on role.Target, c config, to io.Writer) (crowbar.Data, error) {
	from, err := etcdclient.Answers(ctx, on.Conn, c.Admin, c.clientURL())
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Unavailable, "etcd on %s does not answer with a quorum, so its copy could lack what others were told of: %w", on.Node, err)
	}
	defer from.Close()
	r, err := from.SnapshotWithVersion(ctx)
	if err != nil {
		return nil, fmt.Errorf("snapshot of etcd on %s: %w", on.Node, err)
	}
	defer r.Snapshot.Close()
	n, err := io.Copy(to, r.Snapshot)
	if err != nil {
		return nil, fmt.Errorf("snapshot of etcd on %s, after %d bytes: %w", on.Node, n, err)
	}
	on.Logf("etcd: %d bytes of a snapshot, version %s", n, r.Version)
	st, err := from.Status(ctx, c.clientURL())
	if err != nil {
		return nil, fmt.Errorf("status of etcd on %s: %w", on.Node, err)
	}
	return crowbar.Data{"node": on.Node, "version": st.Version, "member": strconv.FormatUint(st.Header.MemberId, 16)}, nil
}

// look asks the member what it knows, which needs no quorum. An error is part of the answer.
func look(ctx context.Context, on role.Target, c config) crowbar.Data {
	out := crowbar.Data{"node": on.Node, "running": false, "quorum": false, "data": false}
	if there, err := jig.Run(ctx, on.Conn, jig.Look(`for f in "$1"/member/wal/*.wal; do [ -e "$f" ] && echo yes; break; done`, c.DataDir)); err == nil {
		out["data"] = strings.TrimSpace(there) == "yes"
	}
	to, err := etcdclient.Open(on.Conn, c.Admin, c.clientURL())
	if err != nil {
		out["error"] = err.Error()
		return out
	}
	defer to.Close()
	short, cancel := context.WithTimeout(ctx, etcdclient.Answer)
	defer cancel()
	st, err := to.Status(short, c.clientURL())
	if err != nil {
		out["error"] = etcdclient.Plain(err).Error()
		return out
	}
	out["running"], out["version"], out["member"] = true, st.Version, strconv.FormatUint(st.Header.MemberId, 16)
	out["revision"], out["index"], out["term"], out["learner"] = st.Header.Revision, st.RaftAppliedIndex, st.RaftTerm, st.IsLearner
	if err := etcdclient.Healthy(ctx, to); err != nil {
		out["error"] = err.Error()
		return out
	}
	out["quorum"] = true
	return out
}
