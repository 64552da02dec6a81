package robustness

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// rotate seals everything anew, and has older keys forgotten.
func (w *world) rotate(d *daemon) {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	_ = d.client.SetAttrib(ctx, crowbar.KindNode, w.some(), "rec-password", flakyPassword)
	if _, err := d.client.RotateKeys(ctx, false); err == nil {
		_ = w.resealed(ctx, d)
	}
}

// resealed waits until older keys seal nothing, and takes them out of the file.
func (w *world) resealed(ctx context.Context, d *daemon) error {
	for !d.dead() {
		st, err := d.client.SealStatus(ctx)
		if err != nil || st.Error != "" {
			return fmt.Errorf("the secrets are not sealed anew: %w", errors.Join(err, errors.New(st.Error)))
		}
		if st.Busy || st.Left > 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		for _, old := range st.Keys[1:] {
			if _, err := d.client.ForgetKey(ctx, old.ID); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("the daemon is dead")
}

// suffer binds what fails, has a run of it cancelled and another one tried again by itself, and takes it off.
func (w *world) suffer(d *daemon) {
	if !w.trouble {
		return
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	_ = os.Remove(filepath.Join(w.dir, "flaky"))
	_, _ = d.client.Bind(ctx, flaky, w.some(), deployment)
	_ = d.client.Do(ctx, crowbar.KindDeployment, deployment, "commit", nil)
	_ = w.nurse(ctx, d, true)
	for _, nr := range w.flaky(ctx, d) {
		_ = d.client.Destroy(ctx, crowbar.KindNodeRole, nr.ID.String(), false)
	}
	_ = w.rest(d, 20*time.Second)
}

func (w *world) flaky(ctx context.Context, d *daemon) (all []crowbar.NodeRoleStatus) {
	s, _ := d.client.Status(ctx, deployment, 0)
	return slices.DeleteFunc(s.NodeRoles, func(nr crowbar.NodeRoleStatus) bool { return nr.Role != flaky })
}

// nurse helps what fails to its end: what hangs is cancelled if that is wanted, and what is not tried again by itself is retried.
func (w *world) nurse(ctx context.Context, d *daemon, cancel bool) error {
	for !d.dead() && ctx.Err() == nil {
		waits := ""
		for _, nr := range w.flaky(ctx, d) {
			switch at := nr.ID.String(); {
			case nr.State == crowbar.Active && !nr.Removing:
				continue
			case nr.State == crowbar.Transition && cancel:
				if d.client.Do(ctx, crowbar.KindNodeRole, at, "cancel", nil) == nil {
					cancel = false
				}
			case nr.State == crowbar.Error && nr.RetryAt.IsZero():
				_ = d.client.Do(ctx, crowbar.KindNodeRole, at, "retry", nil)
			}
			waits = fmt.Sprintf("%s on %s is %s: %s", nr.Role, nr.Node, nr.Name, nr.Why)
		}
		if waits == "" {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return errors.New(waits)
		}
	}
	return ctx.Err()
}
