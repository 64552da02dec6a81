package crowbar

import (
	"fmt"
	"slices"
	"strconv"
)

// Wizard is what a barclamp says of how to make a cluster with it, step by step: its block "wizard".
type Wizard struct {
	Barclamp    string // that it is of
	Name        string
	Description string
	SystemNodes bool // nodes that lie in the system deployment can be taken
	CreateNodes bool // new nodes can be named
	Services    []WizardService
	Base        []string // attribs that everybody is asked for
	Advanced    []string // those that can stay as they are
	Order       []string // roles in the order in which they are put on nodes; those not named come last
}

// WizardService is something that the cluster has to have, on some of its nodes.
type WizardService struct {
	Name        string
	Description string
	Type        string
	Count       int      // nodes that it is put on, where nobody says otherwise; -1 = all of them
	Roles       []string // that each of its nodes gets
	With        string   // the service whose nodes it shares; "" = its own nodes
}

// Wizard reads the barclamp's block; nil = it has none, or one that puts nothing on nodes.
func (b *Barclamp) Wizard() *Wizard {
	block, _ := b.Document["wizard"].(Data)
	w := &Wizard{Barclamp: b.Name, Name: wordOf(block["name"]), Description: wordOf(block["description"]), SystemNodes: true,
		Base: wordsOf(block["base_attribs"]), Advanced: wordsOf(block["advanced_attribs"]), Order: wordsOf(block["role_apply_order"])}
	if w.Name == "" {
		w.Name = b.Name
	}
	if yes, said := block["system_nodes"].(bool); said {
		w.SystemNodes = yes
	}
	w.CreateNodes, _ = block["create_nodes"].(bool)
	list, _ := block["services"].([]any)
	for _, one := range list {
		said, _ := one.(Data)
		s := WizardService{Name: wordOf(said["name"]), Description: wordOf(said["description"]), Type: wordOf(said["type"]), With: wordOf(said["with"])}
		s.Count, _ = strconv.Atoi(wordOf(said["count"])) // what is not said is none
		if s.Roles = w.rolesOf(s.Type, said["roles"]); s.Name != "" && len(s.Roles) > 0 {
			w.Services = append(w.Services, s)
		}
	}
	if len(w.Services) == 0 {
		return nil
	}
	return w
}

// rolesOf is the roles that a service has under its own type; the lists of other types are for nodes that are made otherwise.
// Without one of its type, all count.
func (w *Wizard) rolesOf(kind string, v any) []string {
	lists, _ := v.(Data)
	out := wordsOf(lists[kind])
	if out == nil {
		for _, l := range lists {
			out = append(out, wordsOf(l)...)
		}
	}
	place := func(role string) int {
		if i := slices.Index(w.Order, role); i >= 0 {
			return i
		}
		return len(w.Order)
	}
	slices.Sort(out)
	slices.SortStableFunc(out, func(a, b string) int { return place(a) - place(b) })
	return slices.Compact(out)
}

func wordOf(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

func wordsOf(v any) []string {
	list, _ := v.([]any)
	var out []string
	for _, one := range list {
		out = append(out, wordOf(one))
	}
	return out
}
