package lab

import (
	"os"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

func TestClaim(t *testing.T) {
	open := func() *Lab {
		l, err := Open(Config{Dir: t.TempDir(), Name: "kcclaim"})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	one, two := open(), open()
	t.Cleanup(func() { _ = os.Remove(one.claimFile()) })
	if err := one.claim(); err != nil {
		t.Fatal(err)
	}
	if err := two.unclaimed(); err != nil {
		t.Errorf("a name without a network is free: %v", err)
	}
	ns := "/run/netns/kcclaim"
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(ns, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(ns) })
	if err := two.unclaimed(); crowbar.KindOf(err) != crowbar.Conflict {
		t.Errorf("another folder's lab is up: got %v", err)
	}
	if err := one.unclaimed(); err != nil {
		t.Errorf("its own name: %v", err)
	}
	if err := one.unclaim(); err != nil {
		t.Fatal(err)
	}
	if err := two.unclaimed(); err != nil {
		t.Errorf("given back: %v", err)
	}
}
