package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestCheckup(t *testing.T) {
	now := time.Now()
	with := func(end time.Time) func() *crowbar.Snapshot {
		s := crowbar.NewSnapshot().Apply(1, crowbar.Change{Put: &crowbar.Deployment{ID: 1, Name: "k8s"}},
			crowbar.Change{Put: &crowbar.Secret{ID: 2, Deployment: 1, Name: "leaf/etcd-peer-leaf/n1", NotAfter: end}},
			crowbar.Change{Put: &crowbar.Secret{ID: 3, Deployment: 1, Name: "token"}})
		return func() *crowbar.Snapshot { return s }
	}
	well := checkup{registered: func(context.Context) ([]crowbar.Daemon, error) { return nil, nil }, view: with(now.AddDate(1, 0, 0)), broken: func() map[string]string { return nil }}
	sick, due, over := well, well, well
	sick.registered = func(context.Context) ([]crowbar.Daemon, error) { return nil, errors.New("no leader") }
	sick.broken = func() map[string]string {
		return map[string]string{"etcd": "role etcd is broken", "docker": "role docker is broken"}
	}
	due.view, over.view = with(now.AddDate(0, 1, 0)), with(now.AddDate(0, 0, -1))
	for _, row := range []struct {
		name  string
		h     checkup
		check string
		grade string
		says  string
	}{
		{"well", well, "etcd", crowbar.GradeOK, "a read of the state took"},
		{"well", well, "plugins", crowbar.GradeOK, "none is broken"},
		{"well", well, "certificates", crowbar.GradeOK, "none of the clusters'"},
		{"etcd does not answer", sick, "etcd", crowbar.GradeWrong, "no leader"},
		{"roles crash", sick, "plugins", crowbar.GradeWrong, "role docker is broken; role etcd is broken"},
		{"a certificate is soon out", due, "certificates", crowbar.GradeWarning, "1 are due to be renewed; leaf/etcd-peer-leaf/n1 of deployment k8s ends on"},
		{"a certificate is out", over, "certificates", crowbar.GradeWrong, "ended on"},
	} {
		t.Run(row.name+"/"+row.check, func(t *testing.T) {
			for _, f := range row.h.health(t.Context()) {
				if f.Check == row.check {
					if f.Grade != row.grade || !strings.Contains(f.Says, row.says) || (f.Grade == crowbar.GradeOK) != (f.Remedy == "") {
						t.Errorf("%+v", f)
					}
					return
				}
			}
			t.Error("it was not looked at")
		})
	}
}
