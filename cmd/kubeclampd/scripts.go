package main

import (
	"os"
	"path/filepath"

	"github.com/kubeclamp/kubeclamp/jigs/script"
	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// scripted is the code of a role of jig script: the folder script/roles/NAME of its barclamp, run as OpenCrowbar does, or as Digital
// Rebar where the barclamp is one of its.
func scripted(s *crowbar.Snapshot, r *crowbar.Role, compat string) (role.Role, error) {
	b := s.Barclamp(r.Barclamp)
	if b == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "role %q has no barclamp any more", r.Name)
	}
	from := script.Source{Role: r.Name, Dir: b.SourcePath, Rebar: compat == string(api.CompatRebar), Scripts: inline(b.Document, r.Name)}
	if i, err := os.Stat(from.Dir); err == nil && !i.IsDir() {
		from.Dir = filepath.Dir(from.Dir)
	}
	switch {
	case b.Document["rebar"] != nil || isFile(b.SourcePath, "rebar.yml") || isFile(b.SourcePath, "rebar.yaml"):
		from.Rebar = true
	case b.Document["crowbar"] != nil || isFile(b.SourcePath, "crowbar.yml") || isFile(b.SourcePath, "crowbar.yaml"):
		from.Rebar = false
	}
	return script.New(from), nil
}

// isFile says that a path is a file of that name, or a folder that has one.
func isFile(path, name string) bool {
	if filepath.Base(path) == name {
		return true
	}
	_, err := os.Stat(filepath.Join(path, name))
	return err == nil
}

// inline is the scripts that stand in the document itself (metadata.scripts): the role's, else the barclamp's.
func inline(document crowbar.Data, name string) []string {
	scripts := func(of crowbar.Data) []string {
		metadata, _ := of["metadata"].(crowbar.Data)
		list, _ := metadata["scripts"].([]any)
		var out []string
		for _, one := range list {
			if text, ok := one.(string); ok {
				out = append(out, text)
			}
		}
		return out
	}
	roles, _ := document["roles"].([]any)
	for _, one := range roles {
		if r, ok := one.(crowbar.Data); ok && r["name"] == name {
			if own := scripts(r); len(own) > 0 {
				return own
			}
		}
	}
	return scripts(document)
}
