package roletest

import (
	"io"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// Strays is what a role's action Strays finds.
func Strays(t testing.TB, r role.Role, on role.Target) ([]role.Stray, error) {
	t.Helper()
	d, err := r.(role.Actor).Act(t.Context(), on, role.Action{Name: role.Strays, Out: io.Discard})
	if err != nil {
		return nil, err
	}
	return crowbar.StraysIn(d)
}
