package main

import (
	"context"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// moveGroups makes groups of nodes, and puts nodes into them.
func moveGroups(from, here *survey) []move {
	var out []move
	for _, g := range from.groups {
		name := str(g["name"])
		if name == "not_set" { // where those servers put a node that is in no other
			continue
		}
		at := slices.IndexFunc(here.groups, func(o object) bool { return o["name"] == g["name"] && o["category"] == g["category"] })
		if at < 0 {
			out = append(out, move{Kind: "group", Name: name, Action: "make", Why: "of category " + str(g["category"]), do: maker(crowbar.KindGroup, picked(g, "name category description order"))})
		}
		for _, node := range from.members[str(g["id"])] {
			m := move{Kind: "member", Name: name + ": " + node, Action: "make", do: func(ctx context.Context, c *client.Client) error { return join(ctx, c, g, node) }}
			switch {
			case at >= 0 && slices.Contains(here.members[str(here.groups[at]["id"])], node):
				m.Action = "there"
			case from.lost(here, node):
				m.Action, m.Why = "skip", "its node is left out"
			}
			if m.Action != "make" {
				m.do = nil
			}
			out = append(out, m)
		}
	}
	return out
}

// join puts a node into the group of a name and a category: names alone are not unique.
func join(ctx context.Context, c *client.Client, g object, node string) error {
	var all []object
	if err := c.List(ctx, crowbar.KindGroup, &all); err != nil {
		return err
	}
	for _, o := range all {
		if o["name"] == g["name"] && o["category"] == g["category"] {
			return c.Join(ctx, str(o["id"]), node, true)
		}
	}
	return crowbar.Errorf(crowbar.NotFound, "there is no group %s of category %s", str(g["name"]), str(g["category"]))
}

// moveUsers makes users. Nobody can read passwords there, so they have none here, and nobody signs in by them before they have.
func moveUsers(from, here *survey) []move {
	for i, s := range []*survey{from, here} {
		if why := s.hidden[crowbar.KindUser]; why != "" {
			return []move{{Kind: "user", Name: "all", Action: "skip", Why: "whoever signed in " + []string{"there", "here"}[i] + " is not shown users: " + why}}
		}
	}
	var out []move
	for _, u := range from.users {
		name := str(u["username"])
		if slices.ContainsFunc(here.users, func(o object) bool { return strings.EqualFold(str(o["username"]), name) }) {
			out = append(out, there("user", name))
			continue
		}
		body := picked(u, "username email is_admin")
		out = append(out, move{Kind: "user", Name: name, Action: "make", Why: "passwords cannot be read there: kubeclamp users password " + name, do: func(ctx context.Context, c *client.Client) error {
			if err := c.Create(ctx, crowbar.KindUser, body, nil); err != nil || u["is_locked"] != true {
				return err
			}
			return c.Lock(ctx, name, true, nil)
		}})
	}
	return out
}
