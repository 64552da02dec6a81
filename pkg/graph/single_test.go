package graph

import (
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestSingleObjectsAreCommittedAndProposed(t *testing.T) {
	w := newWorld(t, cluster()...)
	w.bind("etcd@a master@a minion@b")
	if _, err := CommitNodeRole(w.s, w.at("etcd@a").ID); err != nil {
		t.Fatal(err)
	}
	dr := *w.s.DeploymentRoleOf(w.dep.ID, w.at("etcd@a").Role)
	dr.Proposed = crowbar.Data{"x": 1.0}
	w.apply([]crowbar.Change{{Put: &dr}}, nil)
	if _, err := CommitNodeRole(w.s, w.at("etcd@a").ID); err == nil || !strings.Contains(err.Error(), "unless deployment_role committed!") {
		t.Errorf("with a proposed deployment-role: %v", err)
	}
	w.apply(CommitRole(w.s, dr.ID))
	if got := w.s.DeploymentRole(dr.ID); got.Proposed != nil || got.Committed["x"] != 1.0 {
		t.Errorf("committed role: %+v", got)
	}
	w.apply(CommitNode(w.s, w.node("a")))
	w.want(w.states("etcd", "minion"), "etcd@a:blocked minion@b:proposed")
	if _, err := CommitNodeRole(w.s, w.at("etcd@a").ID); err == nil || !strings.Contains(err.Error(), "Cannot commit! unless proposed") {
		t.Errorf("a committed one: %v", err)
	}
	w.commit()
	w.settle()
	w.apply(ProposeNodeRole(w.s, w.at("master@a").ID))
	w.want(w.states("master", "minion"), "master@a:proposed minion@b:active")
	w.apply(Rerun(w.s, w.dep.ID))
	w.settle()
	w.want(w.states("master", "minion"), "master@a:proposed minion@b:blocked")
	w.apply(ProposeNode(w.s, w.node("b")))
	w.want(w.states("minion"), "minion@b:proposed")
	w.apply(CommitNode(w.s, w.node("a")))
	w.apply(CommitNode(w.s, w.node("b")))
	w.settle()
	w.want(w.states("master", "minion"), "master@a:active minion@b:active")
}
