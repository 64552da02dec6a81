package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/kubeclamp/kubeclamp/jigs/script"
	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// importAll reads the barclamps, has every role's plugin describe itself, and imports only when code and files agree.
func importAll(ctx context.Context, c *config, eng *engine.Engine, host *plugin.Host, hands map[string]jig.Jig, none *milestones) error {
	var all []*crowbar.Catalog
	for _, path := range c.barclamps {
		files, err := documents(path)
		if err != nil {
			return fmt.Errorf("barclamp: %w", err)
		}
		cats, err := barclamp.Folder(files...)
		if err != nil {
			return err
		}
		for _, cat := range cats {
			for _, w := range cat.Barclamp.Warnings {
				c.log.Warn("barclamp", "complaint", w)
			}
			if err := compare(ctx, c, cat, host, hands, none); err != nil {
				return fmt.Errorf("barclamp %q of %s and the role plugins disagree:\n%w", cat.Barclamp.Name, path, err)
			}
		}
		all = append(all, cats...)
	}
	for _, cat := range all {
		if err := eng.Import(ctx, cat); err != nil {
			return err
		}
	}
	return nil
}

// documents is a file, or the root and the barclamps/*.yml of a folder.
func documents(path string) ([]barclamp.File, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	names := []string{path}
	if st.IsDir() {
		names = nil
		for _, pattern := range []string{"barclamp.yaml", "crowbar.yml", "rebar.yml", "barclamps/*.yml"} {
			found, err := filepath.Glob(filepath.Join(path, pattern))
			if err != nil {
				return nil, err
			}
			names = append(names, found...)
		}
		if len(names) == 0 {
			return nil, crowbar.Errorf(crowbar.NotFound, "%s has no barclamp.yaml, crowbar.yml or rebar.yml", path)
		}
	}
	var files []barclamp.File
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		files = append(files, barclamp.File{Path: name, Data: b})
	}
	return files, nil
}

// compare holds what the roles' code says of itself against the file, now and whenever its process is started anew. Roles of a
// jig that this daemon does not have are not asked for: they are imported, and cannot be bound. A program that does not come up
// is no reason for the rest to stand still: its node-roles say so when they run.
func compare(ctx context.Context, c *config, cat *crowbar.Catalog, host *plugin.Host, hands map[string]jig.Jig, none *milestones) error {
	declared := map[string][]string{}
	for _, a := range cat.Attribs {
		declared[a.RoleName] = append(declared[a.RoleName], a.Name)
	}
	found := make([]error, len(cat.Roles))
	var all sync.WaitGroup
	for i, r := range cat.Roles {
		if hands[r.Jig] == nil || r.Jig == script.Name || none.is(r.Name, r.Jig) {
			continue
		}
		host.Expect(r.Name, func(info role.Info) error { return agree(info, r, declared[r.Name]) })
		all.Go(func() {
			code, err := host.Role(ctx, r.Name)
			switch {
			case err == nil: // it may have run already, for another document
				found[i] = agree(code.Describe(), r, declared[r.Name])
			case crowbar.KindOf(err) == crowbar.Unavailable && ctx.Err() == nil:
				c.log.Error("a role's plugin does not come up", "role", r.Name, "error", err)
			default:
				found[i] = fmt.Errorf("role %q: %w", r.Name, err)
			}
		})
	}
	all.Wait()
	return errors.Join(found...)
}

// agree says what a role's code and its entry in the file differ in.
func agree(info role.Info, r crowbar.Role, declared []string) error {
	var bad []error
	if info.Name != r.Name {
		bad = append(bad, fmt.Errorf("role %q: its plugin says that it is %q", r.Name, info.Name))
	}
	for _, w := range info.Wants {
		if !slices.Contains(declared, w) && !slices.Contains(r.Wants, w) {
			bad = append(bad, fmt.Errorf("role %q: its plugin reads attrib %q, which the role neither has nor wants in the file", r.Name, w))
		}
	}
	return errors.Join(bad...)
}
