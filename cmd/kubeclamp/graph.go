package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/picture"
)

func (a *app) graphCommand() *cobra.Command {
	var all, down bool
	cmd := &cobra.Command{Use: "graph [NODE]", Short: "Draw the graph of roles, or of what is on one node, with states", Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeNames(crowbar.KindNode), Annotations: map[string]string{forms: "text dot mermaid svg"},
		Long: `Draw which roles come before which: all roles there are, or with -d those of a deployment, with how far they are. With NODE, what
is on that node, with its state, and what that waits for elsewhere. The same graph gives the same picture.

-o text is a line for each, by layer; dot is for Graphviz, mermaid for Markdown pages, svg a picture in a file of its own.
What follows from other lines is not drawn; --all draws it.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var g picture.Graph
			switch {
			case len(args) == 1:
				g, err = nodeGraph(cmd, c, args[0])
			default:
				g, err = roleGraph(cmd, c, a.deployment)
			}
			if err != nil {
				return err
			}
			if !all {
				g = g.Reduced()
			}
			switch a.form(cmd) {
			case "dot":
				return g.DOT(cmd.OutOrStdout())
			case "mermaid":
				return g.Mermaid(cmd.OutOrStdout())
			case "svg":
				s := picture.Style{Direction: picture.Across, Alone: true}
				if down {
					s.Direction = picture.Down
				}
				return g.SVG(cmd.OutOrStdout(), s)
			}
			return g.Text(cmd.OutOrStdout())
		}}
	cmd.Flags().BoolVar(&all, "all", false, "draw also what follows from other lines")
	cmd.Flags().BoolVar(&down, "down", false, "of an SVG: layers below each other, not beside")
	return cmd
}

// roleGraph is the roles and what they require; of a deployment, with how many of each are active.
func roleGraph(cmd *cobra.Command, c *client.Client, deployment string) (picture.Graph, error) {
	var roles []crowbar.Role
	if err := c.List(cmd.Context(), crowbar.KindRole, &roles); err != nil {
		return picture.Graph{}, err
	}
	g := picture.Graph{Title: "Roles"}
	var on map[string][]crowbar.NodeRoleStatus
	if deployment != "" {
		s, err := c.Status(cmd.Context(), deployment, 0)
		if err != nil {
			return g, err
		}
		g.Title, on = "Roles of deployment "+deployment, map[string][]crowbar.NodeRoleStatus{}
		for _, nr := range s.NodeRoles {
			on[nr.Role] = append(on[nr.Role], nr)
		}
		roles = slices.DeleteFunc(roles, func(r crowbar.Role) bool { return on[r.Name] == nil })
	}
	for _, r := range roles {
		v := picture.Vertex{Key: r.Name, Label: r.Name, About: r.Description}
		if deployment != "" {
			worst, active := worstOf(on[r.Name])
			v.Class, v.Mark, v.Note = worst.String(), worst.Mark(), fmt.Sprintf("%d of %d", active, len(on[r.Name]))
		}
		g.Vertices = append(g.Vertices, v)
		for _, parent := range r.Requires {
			for _, p := range standing(roles, parent) {
				g.Edges = append(g.Edges, picture.Edge{From: p, To: r.Name})
			}
		}
		for _, later := range r.Preceeds {
			g.Edges = append(g.Edges, picture.Edge{From: r.Name, To: later, Soft: true})
		}
	}
	return g, nil
}

// standing is the role of a name, or else those that provide it.
func standing(roles []crowbar.Role, name string) []string {
	if slices.ContainsFunc(roles, func(r crowbar.Role) bool { return r.Name == name }) {
		return []string{name}
	}
	var out []string
	for _, r := range roles {
		if slices.Contains(r.Provides, name) {
			out = append(out, r.Name)
		}
	}
	return out
}

// worstOf is what a reader should know of first, and how many are active.
func worstOf(all []crowbar.NodeRoleStatus) (worst crowbar.State, active int) {
	urgent := []crowbar.State{crowbar.Error, crowbar.Transition, crowbar.Todo, crowbar.Blocked, crowbar.Proposed, crowbar.Active}
	worst = crowbar.Active
	for _, nr := range all {
		if nr.State == crowbar.Active {
			active++
		}
		if slices.Index(urgent, nr.State) < slices.Index(urgent, worst) {
			worst = nr.State
		}
	}
	return worst, active
}

// nodeGraph is what is on a node, and the parents that it has elsewhere.
func nodeGraph(cmd *cobra.Command, c *client.Client, key string) (picture.Graph, error) {
	var n crowbar.Node
	if err := c.Show(cmd.Context(), crowbar.KindNode, key, &n); err != nil {
		return picture.Graph{}, err
	}
	var here []crowbar.NodeRole
	if err := c.Below(cmd.Context(), crowbar.KindNode, key, string(crowbar.KindNodeRole), &here); err != nil {
		return picture.Graph{}, err
	}
	roles, err := namesByID(cmd, c, crowbar.KindRole)
	if err != nil {
		return picture.Graph{}, err
	}
	g := picture.Graph{Title: "Roles on " + n.Short()}
	on := map[crowbar.ID]bool{}
	for _, nr := range here {
		on[nr.ID] = true
	}
	elsewhere, err := parentsElsewhere(cmd, c, here, on)
	if err != nil {
		return g, err
	}
	nodes, err := namesByID(cmd, c, crowbar.KindNode)
	if err != nil {
		return g, err
	}
	keys := map[crowbar.ID]string{}
	for _, nr := range slices.Concat(here, elsewhere) {
		name := cmp.Or(roles[nr.Role.String()], nr.Role.String())
		if !on[nr.ID] {
			at := nodes[nr.Node.String()]
			if strings.HasSuffix(at, "-phantom") {
				at = "(service)"
			}
			name = at + "/" + name
		}
		keys[nr.ID] = name
		v := picture.Vertex{Key: name, Label: name, Note: nr.State.String(), Mark: nr.State.Mark(), Class: nr.State.String(), About: nr.Status}
		if !on[nr.ID] {
			v.Class += " elsewhere"
		}
		g.Vertices = append(g.Vertices, v)
	}
	for _, nr := range here {
		for _, p := range nr.Parents {
			g.Edges = append(g.Edges, picture.Edge{From: keys[p.ID], To: keys[nr.ID], Soft: p.Soft})
		}
	}
	return g, nil
}

// parentsElsewhere are the node-roles on other nodes that something here comes after.
func parentsElsewhere(cmd *cobra.Command, c *client.Client, here []crowbar.NodeRole, on map[crowbar.ID]bool) ([]crowbar.NodeRole, error) {
	wanted := map[crowbar.ID]bool{}
	for _, nr := range here {
		for _, p := range nr.Parents {
			if !on[p.ID] {
				wanted[p.ID] = true
			}
		}
	}
	if len(wanted) == 0 {
		return nil, nil
	}
	var all []crowbar.NodeRole
	if err := c.List(cmd.Context(), crowbar.KindNodeRole, &all); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(nr crowbar.NodeRole) bool { return !wanted[nr.ID] }), nil
}
