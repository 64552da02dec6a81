package api

import (
	"io"
	"net/http"
	"slices"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// mostLog is how much of a run's log goes into its node-role; all of it is at node_roles/:id/log.
const mostLog = 64 << 10

// logged is a node-role as old clients show it: with the log of its last run, or with what went wrong.
func (a *API) logged(r *http.Request, s *crowbar.Snapshot, nr *crowbar.NodeRole) any {
	m := newMasker(s, a.tongue(r))
	w := nodeRole(s, nr, m.states)
	if w.RunLog == "" && nr.Attempt != 0 && a.Logs != nil {
		var end tail
		err := a.Logs.Follow(r.Context(), nr.ID, nr.Attempt, false, &end)
		if crowbar.KindOf(err) == crowbar.NotFound { // it has not begun to write yet: the one before
			err = a.Logs.Follow(r.Context(), nr.ID, 0, false, &end)
		}
		if err == nil { // a log that is gone by now is no reason to show nothing
			w.RunLog = string(end)
		}
	}
	if m.as == rebars {
		return m.rebarShape(nr, w)
	}
	return w
}

// tail keeps the end of what is written.
type tail []byte

// Write takes b.
func (t *tail) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	if over := len(*t) - mostLog; over > 0 {
		*t = append((*t)[:0], (*t)[over:]...)
	}
	return len(b), nil
}

// ReadFrom takes all of r, with no more room than it needs: most logs are a few lines.
func (t *tail) ReadFrom(r io.Reader) (n int64, err error) {
	for {
		b := slices.Grow(*t, 2<<10)
		m, err := r.Read(b[len(b):cap(b)])
		*t = b
		_, _ = t.Write(b[len(b) : len(b)+m]) // it stays where it is, or moves up
		n += int64(m)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// keyOf is the key of the object that a request shows: of deployment_roles/ROLE?deployment=NAME it is NAME/ROLE,
// of users/me the caller.
func keyOf(r *http.Request, k crowbar.Kind) string {
	id := r.PathValue("id")
	if k == crowbar.KindUser && id == myself {
		return caller(r).Name
	}
	if d := r.URL.Query().Get("deployment"); k == crowbar.KindDeploymentRole && d != "" {
		return d + "/" + id
	}
	return id
}
