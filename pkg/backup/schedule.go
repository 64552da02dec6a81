package backup

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// lookAfter is how often is looked whether a backup is due.
const lookAfter = time.Minute

// Run makes backups by the schedule until ctx ends. What cannot be done is said, and tried again.
func (b *Backups) Run(ctx context.Context) error {
	if b.Every <= 0 {
		<-ctx.Done()
		return ctx.Err()
	}
	look := time.NewTicker(min(lookAfter, b.Every))
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-look.C:
		}
		if err := b.Due(ctx, time.Now()); err != nil && ctx.Err() == nil {
			b.Log.Warn("backup", "error", err)
		}
	}
}

// Due makes a backup of each deployment with an etcd that serves, whose last scheduled one is old enough.
func (b *Backups) Due(ctx context.Context, now time.Time) error {
	all, err := b.List()
	if err != nil {
		return err
	}
	s := b.View()
	for dep := range s.Deployments() {
		if dep.Stored != crowbar.DeploymentCommitted || dep.Paused || !serves(s, dep.ID) {
			continue
		}
		had := slices.ContainsFunc(all, func(o crowbar.Backup) bool {
			return o.Deployment == dep.Name && o.Why == Scheduled && now.Sub(o.Made) < b.Every && !o.Made.After(now)
		})
		if had {
			continue
		}
		_, one := b.Create(ctx, dep.ID, Scheduled)
		err = errors.Join(err, one)
	}
	return err
}

// serves says that some node-role of etcd is active.
func serves(s *crowbar.Snapshot, deployment crowbar.ID) bool {
	return slices.ContainsFunc(members(s, deployment), func(id crowbar.ID) bool { return s.NodeRole(id).State == crowbar.Active })
}

// Before makes a backup of the deployment of a run that may cost it its etcd, if the run is one: it changes who is a member, or
// does not take place for the first time under another version. Where there is no etcd yet there is nothing to keep. The error
// says why there is none; whether the step is done all the same is the caller's matter.
func (b *Backups) Before(ctx context.Context, w *crowbar.Work) (crowbar.Backup, error) {
	risky := slices.ContainsFunc(w.Role.Exclusive, func(e crowbar.Exclusive) bool { return e.Gate == "peers-active" })
	if !risky || w.Again && !w.Remove || !serves(b.View(), w.Deployment.ID) {
		return crowbar.Backup{}, nil
	}
	what := "applying"
	if w.Remove {
		what = "removing"
	}
	return b.Create(ctx, w.Deployment.ID, "before "+what+" "+w.Role.Name+" on "+w.Node.Short())
}
