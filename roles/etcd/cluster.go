package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/roles/etcd/etcdclient"
)

// others is the client URLs of the deployment's other nodes, those that serve first.
func others(on role.Target, c config) (urls []string, settled []string) {
	var late []string
	for _, p := range on.PeersOf("etcd") {
		if p.Node == on.Node || p.Address == "" {
			continue
		}
		u := etcdclient.Endpoint(p.Address, c.ClientPort)
		if !p.Settled {
			late = append(late, u)
			continue
		}
		urls, settled = append(urls, u), append(settled, p.Node)
	}
	return append(urls, late...), settled
}

// reach opens a client of another member that has a quorum behind it, and reads the list of members there.
func reach(ctx context.Context, on role.Target, c config) (*clientv3.Client, []member, error) {
	urls, _ := others(on, c)
	to, err := etcdclient.First(ctx, on.Conn, c.Admin, urls...)
	if err != nil {
		return nil, nil, err
	}
	list, err := list(ctx, to)
	if err != nil {
		to.Close()
		return nil, nil, err
	}
	return to, list, nil
}

func list(ctx context.Context, to *clientv3.Client) ([]member, error) {
	ctx, cancel := context.WithTimeout(ctx, etcdclient.Answer)
	defer cancel()
	r, err := to.MemberList(ctx)
	if err != nil {
		return nil, fmt.Errorf("list the members of etcd at %s: %w", strings.Join(to.Endpoints(), ", "), err)
	}
	return members(r.Members), nil
}

func members(in []*pb.Member) []member {
	var out []member
	for _, m := range in {
		out = append(out, member{ID: m.ID, Name: m.Name, PeerURLs: m.PeerURLs, ClientURLs: m.ClientURLs, IsLearner: m.IsLearner})
	}
	return out
}

// allHealthy is the gate before any change of the membership and any restart: every voting member but the excepted one
// must answer by itself. The error names those that do not.
func allHealthy(ctx context.Context, on role.Target, c config, list []member, except uint64) error {
	var sick []error
	for _, m := range list {
		if m.IsLearner || m.ID == except {
			continue
		}
		if err := memberHealthy(ctx, on, c, m); err != nil {
			sick = append(sick, fmt.Errorf("%s: %w", m.label(), err))
		}
	}
	if len(sick) == 0 {
		return nil
	}
	return crowbar.Errorf(crowbar.Unavailable, "not every member of etcd is healthy, so its membership stays as it is: %w: repair or unbind that node first", errors.Join(sick...))
}

func memberHealthy(ctx context.Context, on role.Target, c config, m member) error {
	if len(m.ClientURLs) == 0 {
		return errors.New("a voting member that never started")
	}
	to, err := etcdclient.Answers(ctx, on.Conn, c.Admin, m.ClientURLs[0])
	if err != nil {
		return err
	}
	return to.Close()
}

// bury takes out members that are of no node of the deployment and do not answer: their nodes were deleted while they
// were down, and nobody else will do it. The engine lets one run at a time change the membership.
func bury(ctx context.Context, on role.Target, c config, to *clientv3.Client, list []member) (left []member, changes []role.Change, err error) {
	for _, m := range list {
		if ours(on, c, m) || memberHealthy(ctx, on, c, m) == nil {
			left = append(left, m)
			continue
		}
		on.Logf("etcd: remove member %s: it does not answer, and no node of the deployment is it", m.label())
		if err := expel(ctx, to, m.ID); err != nil {
			return list, changes, fmt.Errorf("etcd on %s: remove member %s (%s), which is of no node of the deployment and does not answer: %w: retry this role, or remove it with `etcdctl member remove %[3]s`", on.Node, m.label(), m.hex(), err)
		}
		changes = append(changes, role.Change{What: "member", Name: m.label(), Do: "remove", Diff: "of no node of the deployment"})
	}
	return left, changes, nil
}

// strangers says that some member is of no node of the deployment.
func strangers(on role.Target, c config, list []member) bool {
	for _, m := range list {
		if !ours(on, c, m) {
			return true
		}
	}
	return false
}

// join asks for a place as a learner and gives the member and the list with it. Whoever else is a learner now was left
// behind by a run that died (there is one change of membership at a time): if it is one of the deployment's nodes, it is
// taken out, and joins again when its own turn comes.
func join(ctx context.Context, on role.Target, c config, to *clientv3.Client, list []member) (member, []member, error) {
	for _, m := range list {
		if !m.IsLearner {
			continue
		}
		if !ours(on, c, m) {
			return member{}, nil, crowbar.Errorf(crowbar.Conflict, "etcd on %s cannot join: %s (%s) is a learner that is not of this deployment: promote or remove it first", on.Node, m.label(), m.hex())
		}
		on.Logf("etcd: take out learner %s, left by a run that did not end", m.label())
		if err := expel(ctx, to, m.ID); err != nil {
			return member{}, nil, fmt.Errorf("etcd on %s: take out learner %s, which a run left behind that died: %w: retry this role, or `etcdctl member remove %s`", on.Node, m.label(), err, m.hex())
		}
	}
	on.Logf("etcd: add %s as a learner", c.peerURL())
	var r *clientv3.MemberAddResponse
	err := patiently(ctx, "etcd to take "+on.Node+" as a learner", func(ctx context.Context) (err error) {
		r, err = to.MemberAddAsLearner(ctx, []string{c.peerURL()})
		return err
	})
	if err != nil {
		return member{}, nil, fmt.Errorf("add %s (%s) to etcd as a learner: %w: see that a majority of the members answers, and retry this role", on.Node, c.peerURL(), err)
	}
	return members([]*pb.Member{r.Member})[0], members(r.Members), nil
}

func ours(on role.Target, c config, m member) bool {
	for _, p := range on.PeersOf("etcd") {
		if m.has(etcdclient.Endpoint(p.Address, c.PeerPort)) {
			return true
		}
	}
	return false
}

// promoted makes one try to turn the learner into a voter; done is true once it is one. A learner that lags is not final.
func promoted(ctx context.Context, on role.Target, c config, id uint64) (done bool, why error) {
	to, list, err := reach(ctx, on, c)
	if err != nil {
		return false, err
	}
	defer to.Close()
	for _, m := range list {
		if m.ID != id {
			continue
		}
		if !m.IsLearner {
			return true, nil
		}
		if _, err := to.MemberPromote(ctx, id); err != nil {
			return false, err
		}
		return true, nil
	}
	return false, crowbar.Errorf(crowbar.Conflict, "member %x of %s is not in the cluster any more: somebody removed it; retry this role, and it joins again", id, on.Node)
}

// leave takes a member out, its leadership first, which goes to the first of its heirs.
func leave(ctx context.Context, on role.Target, c config, to *clientv3.Client, m member, heirs []member) error {
	if self, err := etcdclient.Open(on.Conn, c.Admin, c.clientURL()); err == nil {
		defer self.Close()
		handOver(ctx, on, self, m, heirs)
	}
	on.Logf("etcd: remove member %s", m.label())
	if err := expel(ctx, to, m.ID); err != nil {
		return fmt.Errorf("remove %s from etcd: %w", m.label(), err)
	}
	return nil
}

// expel removes a member; that it is gone already is as good.
func expel(ctx context.Context, to *clientv3.Client, id uint64) error {
	err := patiently(ctx, "etcd to let a member go", func(ctx context.Context) error {
		_, err := to.MemberRemove(ctx, id)
		return err
	})
	if errors.Is(err, rpctypes.ErrMemberNotFound) {
		return nil
	}
	return err
}

// patiently asks again while etcd refuses a change because its members have not been connected to each other for long
// enough: it wants five seconds after the last change.
func patiently(ctx context.Context, what string, change func(context.Context) error) error {
	var final error
	err := role.Await(ctx, what, 30*time.Second, func(ctx context.Context) (bool, error) {
		err := change(ctx)
		if err == nil || errors.Is(err, rpctypes.ErrUnhealthy) || errors.Is(err, rpctypes.ErrMemberNotEnoughStarted) {
			return err == nil, err
		}
		final = err
		return true, nil
	})
	return errors.Join(final, err)
}

// handOver gives leadership away, so that clients wait for no election. Writes that are under way just then would be lost: etcd drops
// them, and their clients wait until they time out. So whoever writes is held up meanwhile.
func handOver(ctx context.Context, on role.Target, self *clientv3.Client, m member, heirs []member) {
	ctx, cancel := context.WithTimeout(ctx, etcdclient.Answer)
	defer cancel()
	st, err := self.Status(ctx, self.Endpoints()[0])
	if err != nil || st.Leader != m.ID {
		return
	}
	for _, o := range heirs {
		if o.ID == m.ID || o.IsLearner {
			continue
		}
		on.Held(ctx, func() {
			settled(ctx, self)
			_, err = self.MoveLeader(ctx, o.ID)
		})
		if err != nil {
			on.Logf("etcd: leadership was not handed over to %s (%v); the others elect one", o.label(), err)
		}
		return
	}
}

// settled waits until the member has nothing under way, a moment at most: some write all the time.
func settled(ctx context.Context, self *clientv3.Client) {
	last := uint64(0)
	_ = role.Await(ctx, "etcd to have nothing under way", role.HoldLimit/4, func(ctx context.Context) (bool, error) {
		st, err := self.Status(ctx, self.Endpoints()[0])
		if err != nil {
			return false, err
		}
		quiet := st.RaftIndex == st.RaftAppliedIndex && st.RaftIndex == last
		last = st.RaftIndex
		return quiet, nil
	})
}
