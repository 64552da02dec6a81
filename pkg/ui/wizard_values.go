package ui

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// wizardGroup is the settings of one role.
type wizardGroup struct {
	Title, Description string
	Fields             []wizardField
}

// wizardField is one attrib that a person is asked for.
type wizardField struct {
	Name, Description string
	Text, Default     string
	Kind              string // text, number, choice, lines
	Choices           []string
	Problem           string
	Changed           bool
}

// asked lists the attribs that the wizard asks for: those that there are, and somebody can set.
func (w *wizardPage) asked() []*crowbar.Attrib {
	var out []*crowbar.Attrib
	for _, name := range slices.Concat(w.Base, w.Advanced) {
		a := w.s.AttribNamed(name)
		if a == nil || !a.Writable || a.Leaf != nil || a.Generate != "" || a.Authority != "" || slices.Contains(out, a) {
			continue
		}
		out = append(out, a)
	}
	return out
}

func (w *wizardPage) fielded(name string) bool {
	return slices.ContainsFunc(w.asked(), func(a *crowbar.Attrib) bool { return a.Name == name && !a.Secret })
}

func (w *wizardPage) fillValues() {
	at := map[crowbar.ID]int{}
	for _, a := range w.asked() {
		f := w.field(a)
		if a.Secret {
			w.Secrets = append(w.Secrets, f)
			continue
		}
		i, ok := at[a.Role]
		if !ok {
			g := wizardGroup{Title: "Nodes"}
			if r := w.s.Role(a.Role); r != nil {
				g.Title, g.Description = r.Name, r.Description
			}
			i = len(w.Groups)
			at[a.Role], w.Groups = i, append(w.Groups, g)
		}
		w.Groups[i].Fields = append(w.Groups[i].Fields, f)
	}
}

func (w *wizardPage) field(a *crowbar.Attrib) wizardField {
	f := wizardField{Name: a.Name, Description: a.Description, Default: typed(a.Default), Kind: "text", Problem: w.Problems["v."+a.Name]}
	f.Text = f.Default
	if text, said := w.Values[a.Name]; said {
		f.Text, f.Changed = text, text != f.Default
	}
	switch schemaType(a) {
	case "bool":
		f.Kind, f.Choices = "choice", []string{"true", "false"}
	case "int", "float", "number":
		f.Kind = "number"
	case "map":
		f.Kind = "lines"
	}
	if enum, ok := a.Schema["enum"].([]any); ok {
		f.Kind, f.Choices = "choice", nil
		for _, v := range enum {
			f.Choices = append(f.Choices, pretty(v))
		}
		if !slices.Contains(f.Choices, f.Text) {
			f.Choices = append(f.Choices, f.Text)
		}
	}
	return f
}

func schemaType(a *crowbar.Attrib) string {
	kind, _ := a.Schema["type"].(string)
	switch {
	case kind != "":
		return kind
	case a.Schema["mapping"] != nil:
		return "map"
	case a.Schema["sequence"] != nil:
		return "seq"
	}
	return ""
}

// typed is a value as a person would type it.
func typed(v any) string {
	list, ok := v.([]any)
	if !ok {
		return pretty(v)
	}
	var out []string
	for _, one := range list {
		if s, plain := one.(string); !plain || strings.ContainsAny(s, ", \n[") {
			return pretty(v)
		}
		out = append(out, pretty(one))
	}
	return strings.Join(out, ", ")
}

// meant is the value that a typed text stands for.
func meant(a *crowbar.Attrib, text string) (any, error) {
	switch kind := schemaType(a); kind {
	case "int", "float", "number":
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "Want a number.")
		}
		return n, nil
	case "bool":
		return text == "true", nil
	case "seq":
		if !strings.HasPrefix(text, "[") {
			return partsOf(a, text)
		}
		fallthrough
	case "map":
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "Want JSON: %v.", err)
		}
		return v, nil
	case "any", "scalar":
		var v any
		if json.Unmarshal([]byte(text), &v) == nil {
			return v, nil
		}
	}
	return text, nil
}

func partsOf(a *crowbar.Attrib, text string) (any, error) {
	out := []any{}
	one := &crowbar.Attrib{}
	if seq, _ := a.Schema["sequence"].([]any); len(seq) > 0 {
		one.Schema, _ = seq[0].(crowbar.Data)
	}
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		v, err := meant(one, part)
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "Want numbers, with commas between them.")
		}
		out = append(out, v)
	}
	return out, nil
}

// attribs is what was set to other than its default, and what is wrong with it. Networks and addresses are known by their
// defaults: a network takes a network, and an address that lies in another one's network by default goes where that goes.
func (w *wizardPage) attribs() (map[string]any, map[string]string) {
	out, bad := map[string]any{}, map[string]string{}
	texts := map[string]string{}
	for _, a := range w.asked() {
		text, said := w.Values[a.Name]
		if def := typed(a.Default); !said || text == def {
			texts[a.Name] = def
			continue
		}
		texts[a.Name] = text
		v, err := meant(a, text)
		if err != nil {
			bad["v."+a.Name] = err.Error()
			continue
		}
		out[a.Name] = v
	}
	w.networks(texts, out, bad)
	return out, bad
}

type wizardNetwork struct {
	name    string
	is, was netip.Prefix
}

func (w *wizardPage) networks(texts map[string]string, out map[string]any, bad map[string]string) {
	var all []wizardNetwork
	for _, a := range w.asked() {
		was, err := netip.ParsePrefix(typed(a.Default))
		if err != nil {
			continue
		}
		is, err := netip.ParsePrefix(texts[a.Name])
		switch {
		case err != nil:
			bad["v."+a.Name] = fmt.Sprintf("Want a network such as %s.", was)
		case is != is.Masked():
			bad["v."+a.Name] = fmt.Sprintf("%s is an address in a network. Want the network: %s.", is, is.Masked())
		default:
			w.overlap(a.Name, is, all, bad)
			all = append(all, wizardNetwork{a.Name, is, was})
		}
	}
	for _, a := range w.asked() {
		if was, err := netip.ParseAddr(typed(a.Default)); err == nil {
			w.inside(a.Name, was, texts[a.Name], all, out, bad)
		}
	}
}

func (w *wizardPage) overlap(name string, is netip.Prefix, all []wizardNetwork, bad map[string]string) {
	for _, o := range all {
		if o.is.Overlaps(is) {
			bad["v."+name] = fmt.Sprintf("%s overlaps %s, which is %s.", is, o.name, o.is)
		}
	}
	for _, n := range w.nodes {
		if at, err := netip.ParseAddr(n.Address); err == nil && is.Contains(at) {
			bad["v."+name] = fmt.Sprintf("%s holds %s, the address of node %s.", is, at, n.Short())
			return
		}
	}
}

// inside has an address follow the network that it lies in by default.
func (w *wizardPage) inside(name string, was netip.Addr, text string, all []wizardNetwork, out map[string]any, bad map[string]string) {
	is, err := netip.ParseAddr(text)
	if err != nil {
		bad["v."+name] = fmt.Sprintf("Want an address such as %s.", was)
		return
	}
	for _, n := range all {
		if !n.was.Contains(was) || n.is.Contains(is) {
			continue
		}
		moved, fits := shift(was, n.was, n.is)
		if is == was && fits { // nobody has said anything else
			out[name] = moved.String()
			return
		}
		bad["v."+name] = fmt.Sprintf("It has to lie in %s, which is %s.", n.name, n.is)
	}
}

// shift is the address that lies in one network where another one lies in its own.
func shift(at netip.Addr, in, to netip.Prefix) (netip.Addr, bool) {
	a, base, next := at.AsSlice(), in.Masked().Addr().AsSlice(), to.Masked().Addr().AsSlice()
	if len(a) != len(next) {
		return netip.Addr{}, false
	}
	for i := range a {
		next[i] |= a[i] &^ base[i]
	}
	moved, _ := netip.AddrFromSlice(next)
	return moved, to.Contains(moved)
}

func (u *UI) valueProblems(r *http.Request, w *wizardPage) {
	if _, w.Problems = w.attribs(); len(w.Problems) > 0 {
		return
	}
	w.place()
	doc, _ := w.document()
	_, err := u.Engine.Foresee(r.Context(), crowbar.PlanFor{Deployment: w.Into, Document: &doc}, nil)
	for place, text := range faults(err) {
		if name, ok := strings.CutPrefix(place, "attribs."); ok {
			w.Problems["v."+name] = text
		}
	}
}
