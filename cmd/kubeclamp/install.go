package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// installing is a barclamp's tree and the server that it goes to.
type installing struct {
	server  *client.Client
	it      *client.Elder
	dir     string   // of the tree, here
	at      string   // of the tree, there
	copyTo  string   // USER@HOST; "" = the tree is there
	upgrade bool     // also where there is another version
	docs    []object // root first
}

// installFlags are which server, and where files go.
func (a *app) installFlags(cmd *cobra.Command) func() (*installing, error) {
	f := cmd.Flags()
	into := f.String("into", "", "address of the server (or --endpoint)")
	at := f.String("path", barclampPath, "where the tree lies, or is put, on the server's machine")
	to := f.String("copy-to", "", "USER@HOST, or ssh://USER@HOST:PORT: copy the tree to the server's machine by ssh first; without it, it must be there")
	return func() (*installing, error) {
		override(&a.endpoint, *into)
		c, err := a.client()
		if err != nil {
			return nil, err
		}
		it, err := c.Elder(cmd.Context())
		if err != nil {
			return nil, err
		}
		if it == nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "%s is a kubeclampd, or no --key USER:PASSWORD was given: it has its own roles; other barclamps go into it by --barclamp", c.Endpoint())
		}
		if !filepath.IsAbs(*at) || strings.HasPrefix(*to, "-") || strings.ContainsAny(*at, " '\"\\$`;&|<>\n") {
			return nil, usage("--path %q, --copy-to %q: want an absolute path of plain letters, and USER@HOST", *at, *to)
		}
		return &installing{server: c, it: it, at: *at, copyTo: *to}, nil
	}
}

func (a *app) installCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "install TREE --into URL", Short: "Import a barclamp's tree (of 'barclamp package') into an OpenCrowbar or Digital Rebar server, after looking whether it can run there", Args: cobra.ExactArgs(1),
		Long: `Import a barclamp's tree, as 'kubeclamp barclamp package' writes it, into an OpenCrowbar or Digital Rebar server (version 2) by its API.

First it is looked whether that server has what the barclamp asks for: its kind, jigs, parents, milestones and other roles, wanted
attribs; all that is missing is said at once, and nothing is changed. What is there already is left; --upgrade replaces another
version. Binding and committing is done there, or by 'kubeclamp --endpoint URL'.`}
	read := a.installFlags(cmd)
	upgrade := cmd.Flags().Bool("upgrade", false, "replace what is there of another version")
	check := cmd.Flags().Bool("check", false, "only look whether it could be installed")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, err := read()
		if err != nil {
			return err
		}
		in.dir, in.upgrade = args[0], *upgrade
		if in.docs, err = in.documents(); err != nil {
			return err
		}
		there, err := in.check(cmd.Context())
		if err != nil || *check {
			return err
		}
		if there {
			cmd.PrintErrf("%s has it already, as it is here\n", in.it)
		}
		if err := in.copyTree(cmd.Context()); err != nil || there {
			return err
		}
		rows, made := [][]string{}, []object{}
		for _, d := range in.docs {
			var o object
			if err := in.server.Import(cmd.Context(), d, &o); err != nil {
				return err
			}
			rows, made = append(rows, []string{str(o["name"]), str(o["version"]), str(o["source_path"])}), append(made, o)
		}
		return a.print(cmd.OutOrStdout(), made, "NAME\tVERSION\tPATH", rows)
	}
	return cmd
}

// documents are the root and the children of a tree, each with the path that it has there.
func (in *installing) documents() ([]object, error) {
	root := filepath.Join(in.dir, in.it.Own()+".yml")
	if _, err := os.Stat(root); err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s is a server of %s, and %s has no %s.yml: kubeclamp barclamp package --for %s", in.server.Endpoint(), in.it, in.dir, in.it.Own(),
			map[bool]string{true: "rebar", false: "opencrowbar"}[in.it.Rebar()])
	}
	children, err := filepath.Glob(filepath.Join(in.dir, "barclamps", "*.yml"))
	if err != nil {
		return nil, err
	}
	var out []object
	for _, file := range append([]string{root}, children...) {
		b, err := os.ReadFile(file)
		var raw any
		if err == nil {
			err = yaml.Unmarshal(b, &raw)
		}
		if err == nil { // numbers as the server will give them back
			b, err = json.Marshal(raw)
		}
		var d object
		if err == nil {
			err = json.Unmarshal(b, &d)
		}
		head, is := d["barclamp"].(object)
		if err != nil || !is || head["name"] == nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "%s: it is no barclamp's document (%v)", file, err)
		}
		head["source_path"] = in.at
		out = append(out, d)
	}
	return out, nil
}

// check says all that is missing there, and whether it is there as it is here.
func (in *installing) check(ctx context.Context) (there bool, err error) {
	have := map[crowbar.Kind]map[string]object{}
	for _, k := range []crowbar.Kind{crowbar.KindBarclamp, crowbar.KindRole, crowbar.KindJig, crowbar.KindAttrib} {
		var all []object
		if err := in.server.List(ctx, k, &all); err != nil {
			return false, err
		}
		have[k] = map[string]object{}
		for _, o := range all {
			have[k][str(o["name"])] = o
		}
	}
	var lacks []string
	there = true
	for _, d := range in.docs {
		name := str(d["barclamp"].(object)["name"])
		old := have[crowbar.KindBarclamp][name]
		same := old != nil && reflect.DeepEqual(old["cfg_data"], any(d))
		there = there && same
		if old != nil && !same && !in.upgrade {
			lacks = append(lacks, fmt.Sprintf("barclamp %s is there as version %s, and is another one: say --upgrade", name, str(old["version"])))
		}
		lacks = append(lacks, in.missing(d, have, str(old["id"]))...)
	}
	if len(lacks) > 0 {
		slices.Sort(lacks)
		return false, crowbar.Errorf(crowbar.Conflict, "%s at %s cannot take it:\n  %s\nnothing was changed", in.it, in.server.Endpoint(), strings.Join(slices.Compact(lacks), "\n  "))
	}
	return there, nil
}

// missing is what one document asks for that neither the tree nor the server has. id is the barclamp's there, if it is there.
func (in *installing) missing(d object, have map[crowbar.Kind]map[string]object, id string) []string {
	var lacks []string
	mine := map[string]bool{}
	for _, other := range in.docs {
		for _, r := range listOf(other["roles"]) {
			mine["role "+str(r["name"])] = true
			for _, at := range listOf(r["attribs"]) {
				mine["attrib "+str(at["name"])] = true
			}
		}
		for _, kind := range []string{"jig", "attrib"} {
			for _, o := range listOf(other[kind+"s"]) {
				mine[kind+" "+str(o["name"])] = true
			}
		}
		mine["barclamp "+str(other["barclamp"].(object)["name"])] = true
	}
	need := func(kind crowbar.Kind, name, who string) {
		word := strings.TrimSuffix(string(kind), "s")
		if name != "" && !mine[word+" "+name] && have[kind][name] == nil {
			lacks = append(lacks, fmt.Sprintf("%s %s, which %s asks for, is not there", word, name, who))
		}
	}
	name := str(d["barclamp"].(object)["name"])
	if parent, is := d["barclamp"].(object)["parent"].(string); is {
		need(crowbar.KindBarclamp, parent, "barclamp "+name)
	}
	for _, r := range listOf(d["roles"]) {
		role := str(r["name"])
		need(crowbar.KindJig, str(r["jig"]), "role "+role)
		if j := have[crowbar.KindJig][str(r["jig"])]; j != nil && j["active"] == false {
			lacks = append(lacks, fmt.Sprintf("jig %s, which role %s asks for, is not active", str(r["jig"]), role))
		}
		if old := have[crowbar.KindRole][role]; old != nil && str(old["barclamp_id"]) != id {
			lacks = append(lacks, fmt.Sprintf("role %s is there already, of another barclamp", role))
		}
		for _, key := range []string{"requires", "attaches"} {
			for _, other := range namesIn(r[key]) {
				need(crowbar.KindRole, other, "role "+role)
			}
		}
		for _, at := range namesIn(r["wants-attribs"]) {
			need(crowbar.KindAttrib, at, "role "+role)
		}
	}
	return lacks
}

func listOf(v any) []object {
	var out []object
	all, _ := v.([]any)
	for _, one := range all {
		if o, is := one.(object); is {
			out = append(out, o)
		}
	}
	return out
}

// namesIn are names, alone or as {name: NAME}.
func namesIn(v any) []string {
	var out []string
	all, _ := v.([]any)
	for _, one := range all {
		if o, is := one.(object); is {
			one = o["name"]
		}
		out = append(out, str(one))
	}
	return out
}

// copyTree puts the tree onto the server's machine, beside the old one, and has it take its place once all of it is there.
func (in *installing) copyTree(ctx context.Context) error {
	if in.copyTo == "" {
		return nil
	}
	pack := exec.CommandContext(ctx, "tar", "-C", in.dir, "-cf", "-", ".")
	unpack := fmt.Sprintf("set -e; %s; rm -rf %[2]s.new; mkdir -p %[2]s.new; tar -C %[2]s.new --no-same-owner -xf -", in.ours("true"), in.at)
	if err := in.ssh(ctx, pack, unpack); err != nil {
		return err
	}
	return in.ssh(ctx, nil, fmt.Sprintf("set -e; rm -rf %[1]s.old; [ ! -e %[1]s ] || mv %[1]s %[1]s.old; mv %[1]s.new %[1]s; rm -rf %[1]s.old", in.at))
}

// ours has a script go on only where there is nothing at the tree's place, or a barclamp's tree, with which it then does something.
func (in *installing) ours(do string) string {
	return fmt.Sprintf("if [ -e %[1]s/%[2]s.yml ]; then %[3]s; elif [ -e %[1]s ]; then echo '%[1]s has no %[2]s.yml: it is no tree of a barclamp, and stays as it is; see --path' >&2; exit 1; fi", in.at, in.it.Own(), do)
}

// ssh runs a script on the server's machine, with what another command writes as its input.
func (in *installing) ssh(ctx context.Context, from *exec.Cmd, script string) error {
	there := exec.CommandContext(ctx, "ssh", "-o", "BatchMode=yes", "--", in.copyTo, script)
	if from != nil {
		pipe, err := from.StdoutPipe()
		if err != nil {
			return err
		}
		there.Stdin = pipe
		if err := from.Start(); err != nil {
			return err
		}
	}
	out, err := there.CombinedOutput()
	if from != nil {
		if packed := from.Wait(); err == nil {
			err = packed
		}
	}
	if err != nil {
		return crowbar.Errorf(crowbar.Unavailable, "ssh %s: %w: %s", in.copyTo, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (a *app) uninstallCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "uninstall NAME --into URL", Short: "Take a barclamp's roles out of an OpenCrowbar or Digital Rebar server's deployments, and its tree off that machine", Args: cobra.ExactArgs(1),
		Long: `Take a barclamp's roles out of the deployments of an OpenCrowbar or Digital Rebar server (version 2), and with --copy-to its tree off
that machine. It is refused while one of its roles is bound to a node: those servers drop a bound role's record and leave the node as
it is, so unbind there first, when the nodes may stay so. Their API cannot delete a barclamp: its record and its roles stay known.`}
	read := a.installFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		in, err := read()
		if err != nil {
			return err
		}
		gone, err := in.withdraw(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if in.copyTo != "" {
			if err := in.ssh(cmd.Context(), nil, in.ours("rm -rf "+in.at)); err != nil {
				return err
			}
		}
		cmd.PrintErrf("%s of %s are out of their deployments; the record of the barclamp stays: %s has no way to delete it\n", plural(gone, "role"), args[0], in.it)
		return nil
	}
	return cmd
}

// withdraw takes a barclamp's roles out of all deployments; nothing where one of them is bound.
func (in *installing) withdraw(ctx context.Context, name string) (int, error) {
	var b object
	if err := in.server.Show(ctx, crowbar.KindBarclamp, name, &b); err != nil {
		return 0, err
	}
	s := map[crowbar.Kind][]object{}
	for _, k := range []crowbar.Kind{crowbar.KindRole, crowbar.KindNode, crowbar.KindNodeRole, crowbar.KindDeploymentRole} {
		var all []object
		if err := in.server.List(ctx, k, &all); err != nil {
			return 0, err
		}
		s[k] = all
	}
	mine, nodes := map[string]string{}, map[string]string{}
	for _, r := range s[crowbar.KindRole] {
		if str(r["barclamp_id"]) == str(b["id"]) {
			mine[str(r["id"])] = str(r["name"])
		}
	}
	for _, n := range s[crowbar.KindNode] {
		nodes[str(n["id"])] = str(n["name"])
	}
	bound := map[string]bool{}
	for _, nr := range s[crowbar.KindNodeRole] {
		if role := mine[str(nr["role_id"])]; role != "" {
			bound[nodes[str(nr["node_id"])]+"/"+role] = true
		}
	}
	if len(bound) > 0 {
		return 0, crowbar.Errorf(crowbar.Conflict, "roles of %s are bound: %s; unbind them there first, nothing was changed", name, strings.Join(slices.Sorted(maps.Keys(bound)), ", "))
	}
	gone := 0
	for _, dr := range s[crowbar.KindDeploymentRole] {
		if mine[str(dr["role_id"])] == "" {
			continue
		}
		if err := in.server.Destroy(ctx, crowbar.KindDeploymentRole, str(dr["id"]), false); err != nil {
			return gone, err
		}
		gone++
	}
	return gone, nil
}
