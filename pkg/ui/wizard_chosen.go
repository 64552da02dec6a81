package ui

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// chosen is what was chosen in a wizard so far.
type chosen struct {
	Into   string // name of the deployment to be
	Nodes  []crowbar.ID
	New    string // servers that are no nodes yet: a name and an address a line
	Placed bool   // somebody has said which services are where
	In     [][]crowbar.ID
	Values map[string]string // of attribs, as they were typed
	of     *crowbar.Wizard
}

// mostIDs is how many nodes a list in an address can name.
const mostIDs = 20000

// newFrom is the first of the numbers that stand for nodes that are still to be made.
const newFrom crowbar.ID = 1 << 40

func readChosen(q url.Values, of *crowbar.Wizard) chosen {
	c := chosen{Into: strings.TrimSpace(q.Get("name")), Nodes: readIDs(q.Get("nodes")), New: strings.ReplaceAll(q.Get("new"), "\r\n", "\n"),
		Placed: q.Get("placed") != "", Values: map[string]string{}, of: of}
	for i := range of.Services {
		c.In = append(c.In, readIDs(q.Get("in"+strconv.Itoa(i))))
	}
	for k := range q {
		if name, ok := strings.CutPrefix(k, "v."); ok {
			c.Values[name] = strings.TrimSpace(q.Get(k))
		}
	}
	return c
}

// values is all of it, as an address has it.
func (c chosen) values() url.Values {
	q := url.Values{}
	set := func(k, v string) {
		if v != "" {
			q.Set(k, v)
		}
	}
	set("name", c.Into)
	set("nodes", writeIDs(slices.DeleteFunc(slices.Clone(c.Nodes), func(id crowbar.ID) bool { return id >= newFrom })))
	set("new", c.New)
	if c.Placed {
		q.Set("placed", "1")
		for i, ids := range c.In {
			set("in"+strconv.Itoa(i), writeIDs(ids))
		}
	}
	for k, v := range c.Values {
		q.Set("v."+k, v)
	}
	return q
}

// address is the page of a step, with more parameters: names and values in turn.
func (c chosen) address(step string, more ...string) string {
	q := c.values()
	q.Set("step", step)
	return "/wizard/" + url.PathEscape(c.of.Barclamp) + with(q, more...)
}

// readIDs reads a list such as "3,7-9"; what is none is left out.
func readIDs(text string) []crowbar.ID {
	var out []crowbar.ID
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		a, err := strconv.ParseUint(first, 10, 62)
		if err != nil {
			continue
		}
		b := a
		if isRange {
			if b, err = strconv.ParseUint(last, 10, 62); err != nil {
				continue
			}
		}
		for ; a <= b && len(out) < mostIDs; a++ {
			out = append(out, crowbar.ID(a))
		}
	}
	return out
}

// writeIDs is a list as short as can be.
func writeIDs(ids []crowbar.ID) string {
	ids = slices.Compact(slices.Sorted(slices.Values(ids)))
	var out []string
	for i := 0; i < len(ids); i++ {
		first := ids[i]
		for i+1 < len(ids) && ids[i+1] == ids[i]+1 {
			i++
		}
		if ids[i] == first {
			out = append(out, fmt.Sprint(uint64(first)))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", uint64(first), uint64(ids[i])))
		}
	}
	return strings.Join(out, ",")
}

// newNodes reads the servers that are to become nodes; a line without an address is one of which something is missing.
func newNodes(text string) []*crowbar.Node {
	var out []*crowbar.Node
	for line := range strings.SplitSeq(text, "\n") {
		name, address, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" {
			continue
		}
		out = append(out, &crowbar.Node{ID: newFrom + crowbar.ID(len(out)), Name: name, Address: strings.TrimSpace(address), Alive: true, Available: true})
	}
	return out
}

// wizardPlace is a service, and where it is.
type wizardPlace struct {
	crowbar.WizardService
	Count  int
	Advice string
	Bad    bool // the advice is a warning
	Nodes  []string
}

// place spreads the services over the nodes, unless somebody has done it.
func (w *wizardPage) place() {
	if w.Placed {
		return
	}
	w.Placed = true
	free := byRack(w.s, w.nodes)
	for i, sv := range w.Services {
		w.In[i] = nil
		if sv.With != "" || sv.Count == 0 {
			continue
		}
		from, n := free, sv.Count
		if len(free) == 0 {
			from, n = byRack(w.s, w.nodes), len(w.nodes) // nothing is left: they share
		}
		if n < 0 || n > len(from) {
			n = len(from)
			if votes(w.s, sv) && n%2 == 0 && n > 0 && sv.Count > 0 {
				n--
			}
		}
		w.In[i] = slices.Clone(from[:n])
		if len(free) > 0 {
			free = free[n:]
		}
	}
	if i := w.rest(); i >= 0 {
		w.In[i] = append(w.In[i], free...)
	}
	for i, sv := range w.Services {
		if of := w.service(sv.With); of >= 0 && sv.Count != 0 {
			n := sv.Count
			if n < 0 || n > len(w.In[of]) {
				n = len(w.In[of])
			}
			w.In[i] = slices.Clone(w.In[of][:n])
		}
	}
}

// service is the place of the service of that name, -1 for none.
func (w *wizardPage) service(name string) int {
	return slices.IndexFunc(w.Services, func(s crowbar.WizardService) bool { return name != "" && s.Name == name && s.With == "" })
}

// rest is the service that gets the nodes that no other one needs: the last of which any number will do.
func (w *wizardPage) rest() int {
	for i := len(w.Services) - 1; i >= 0; i-- {
		if sv := w.Services[i]; sv.With == "" && sv.Count != 0 && !votes(w.s, sv) {
			return i
		}
	}
	return -1
}

// resize makes a service have n nodes: those that it has stay, as far as there is room; more come from where all the rest is.
func (w *wizardPage) resize(i, n int) {
	n = min(max(n, 0), len(w.nodes))
	rest := w.rest()
	for len(w.In[i]) > n {
		last := w.In[i][len(w.In[i])-1]
		w.In[i] = w.In[i][:len(w.In[i])-1]
		if rest >= 0 && rest != i && !w.placed(last) {
			w.In[rest] = append(w.In[rest], last)
		}
	}
	order := byRack(w.s, w.nodes)
	if of := w.service(w.Services[i].With); of >= 0 {
		order = append(slices.Clone(w.In[of]), order...)
	} else {
		slices.SortStableFunc(order, func(a, b crowbar.ID) int { return truth(w.placed(a)) - truth(w.placed(b)) })
	}
	for _, id := range order {
		if len(w.In[i]) >= n {
			return
		}
		if slices.Contains(w.In[i], id) {
			continue
		}
		w.In[i] = append(w.In[i], id)
		if own := w.Services[i].With == "" && rest >= 0 && rest != i; own && len(w.In[rest]) > 1 {
			w.In[rest] = slices.DeleteFunc(w.In[rest], func(x crowbar.ID) bool { return x == id })
		}
	}
}

// placed says that a node has a service that is not there only because another one is.
func (w *wizardPage) placed(id crowbar.ID) bool {
	for i, sv := range w.Services {
		if sv.With == "" && slices.Contains(w.In[i], id) {
			return true
		}
	}
	return false
}

// byRack puts the nodes in an order in which neighbours lie in different racks, as far as groups of category rack tell.
func byRack(s *crowbar.Snapshot, nodes []*crowbar.Node) []crowbar.ID {
	seen := map[crowbar.ID]int{}
	type at struct {
		id    crowbar.ID
		round int
	}
	var all []at
	for _, n := range nodes {
		var rack crowbar.ID
		for _, g := range n.Groups {
			if o := s.Group(g); o != nil && o.Category == "rack" {
				rack = g
			}
		}
		a := at{id: n.ID}
		if rack != 0 {
			a.round = seen[rack]
			seen[rack]++
		}
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b at) int { return cmp.Compare(a.round, b.round) })
	var out []crowbar.ID
	for _, a := range all {
		out = append(out, a.id)
	}
	return out
}

// votes says that the service's nodes decide by majority, as etcd's members do.
func votes(s *crowbar.Snapshot, sv crowbar.WizardService) bool {
	return slices.ContainsFunc(sv.Roles, func(name string) bool {
		r := s.RoleNamed(name)
		return name == "etcd" || r != nil && slices.ContainsFunc(r.Exclusive, func(x crowbar.Exclusive) bool { return x.Gate == "peers-active" })
	})
}

// advice is what a number of nodes means for a service.
func advice(s *crowbar.Snapshot, sv crowbar.WizardService, n int) (text string, bad bool) {
	switch {
	case n == 0 && sv.Count != 0:
		return "It is on no node.", true
	case !votes(s, sv) || n == 0:
		return "", false
	case n == 1:
		return "With one member nothing takes over when it is lost. 3 stand the loss of one.", true
	case n%2 == 0:
		return fmt.Sprintf("%d members stand the loss of %d, as %d do: an even number only makes a majority harder. Take %d or %d.", n, (n-1)/2, n-1, n-1, n+1), true
	case n > 7:
		return fmt.Sprintf("Each write waits for %d members. 5 stand the loss of two, and are enough.", n/2+1), true
	}
	return fmt.Sprintf("%d members stand the loss of %d.", n, (n-1)/2), false
}

func (w *wizardPage) fillServices() {
	for i, sv := range w.Services {
		p := wizardPlace{WizardService: sv, Count: len(w.In[i])}
		p.Advice, p.Bad = advice(w.s, sv, p.Count)
		w.Places = append(w.Places, p)
	}
	from := min(max(w.from, 0), max(0, len(w.nodes)-1))
	to := min(from+perPart, len(w.nodes))
	var shown []crowbar.ID
	for j, n := range w.nodes {
		row := wizardRow{nodeRow: nodeOf(w.s, n)}
		for i := range w.Services {
			is := slices.Contains(w.In[i], n.ID)
			row.In = append(row.In, is)
			if is {
				w.Places[i].Nodes = append(w.Places[i].Nodes, n.Short())
			}
		}
		if !slices.Contains(row.In, true) {
			w.Idle = append(w.Idle, n.Short())
		}
		if j >= from && j < to {
			shown = append(shown, n.ID)
			w.Rows = append(w.Rows, row)
		}
	}
	w.cut(shown, from, to, len(w.nodes))
}
