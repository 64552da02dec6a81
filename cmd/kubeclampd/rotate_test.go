package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// manySecrets is enough for a rotation to be met in the middle.
const manySecrets = 3000

// sealed waits until no older key seals anything.
func sealed(t *testing.T, c *client.Client) crowbar.SealStatus {
	t.Helper()
	var st crowbar.SealStatus
	err := role.Await(t.Context(), "the end of the rotation", time.Minute, func(ctx context.Context) (bool, error) {
		var err error
		st, err = c.SealStatus(ctx)
		return err == nil && !st.Busy && st.Left == 0, errors.Join(err, fmt.Errorf("%+v", st))
	})
	if err != nil || st.Error != "" {
		t.Fatal(err, st.Error)
	}
	return st
}

// TestRotationIsKilled kills the daemon with -9 while it seals everything anew, again and again: the next one goes on by itself,
// opens everything, and the user signs in.
func TestRotationIsKilled(t *testing.T) {
	dir, site := dataDir(t), filepath.Join(t.TempDir(), "site.yml")
	if err := os.WriteFile(site, []byte(sitePassword), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir, "--barclamp", site)
	c := p.ready(t)
	doc := crowbar.Cluster{Deployment: "k"}
	for i := range manySecrets {
		doc.Nodes = append(doc.Nodes, crowbar.ClusterNode{Name: fmt.Sprintf("n%d", i), Address: fmt.Sprintf("192.0.%d.%d", 2+i/250, 1+i%250), Jig: "noop", Attribs: map[string]any{"site-password": fmt.Sprintf("hunter%d", i)}})
	}
	err := c.Apply(t.Context(), doc, false)
	for _, u := range []map[string]any{{"username": "otto", "right": "operator", "password": operPassword, "digest": true}} {
		err = errors.Join(err, c.Create(t.Context(), crowbar.KindUser, u, nil))
	}
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for try := 0; killed < 2; try++ {
		if try == 20 {
			t.Fatalf("of 20 rotations of %d values %d were met in the middle", manySecrets, killed)
		}
		if _, err := c.RotateKeys(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		for {
			st, err := c.SealStatus(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if st.Left == 0 {
				break
			}
			if st.Left < manySecrets {
				p.cmd.Process.Kill()
				p.cmd.Wait()
				killed++
				t.Logf("killed when %d values were left", st.Left)
				p = start(t, dir, "--barclamp", site)
				c = p.ready(t)
				break
			}
		}
		st := sealed(t, c)
		if st.Keys[0].Values < manySecrets {
			t.Fatalf("values are gone: %+v", st)
		}
		for _, old := range st.Keys[1:] {
			if _, err := c.ForgetKey(t.Context(), old.ID); err != nil {
				t.Fatal(err)
			}
		}
		p.asker(t, "otto").signIn(t, "otto", operPassword)
	}
}

// TestKeyFromACredential has systemd hand over the key: it is not written anywhere, and a new one in front of it seals everything
// anew at the next start.
func TestKeyFromACredential(t *testing.T) {
	dir, site, credentials := dataDir(t), filepath.Join(t.TempDir(), "site.yml"), t.TempDir()
	key := filepath.Join(credentials, pki.CredentialName)
	first, err := pki.AddKey(key)
	if err := errors.Join(err, os.WriteFile(site, []byte(sitePassword), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	p := start(t, dir, "--barclamp", site)
	c := p.ready(t)
	err = c.Create(t.Context(), crowbar.KindNode, map[string]any{"name": "n1", "address": "192.0.2.9"}, nil)
	if err := errors.Join(err, c.SetAttrib(t.Context(), crowbar.KindNode, "n1", "site-password", "hunter22")); err != nil {
		t.Fatal(err)
	}
	if st := sealed(t, c); st.Keys[0].ID != first || st.Keys[0].Values == 0 || !strings.HasSuffix(st.Source, key) {
		t.Errorf("%+v", st)
	}
	before, _ := os.ReadFile(key)
	if _, err := c.RotateKeys(t.Context(), false); err == nil || !strings.Contains(err.Error(), "credential") {
		t.Errorf("a credential is rotated by the daemon: %v", err)
	}
	if after, _ := os.ReadFile(key); string(after) != string(before) {
		t.Error("the credential was written")
	}
	if _, err := os.Stat(filepath.Join(dir, "key")); err == nil {
		t.Error("there is a key in the data folder as well")
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	second, err := pki.AddKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c = start(t, dir, "--barclamp", site).ready(t)
	if st := sealed(t, c); st.Keys[0].ID != second || st.Keys[0].Values == 0 || st.Keys[1].Values != 0 {
		t.Errorf("after the next start: %+v", st)
	}
}
