package ui

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The steps of a wizard, in their order.
const (
	stepNodes    = "nodes"
	stepServices = "services"
	stepValues   = "values"
	stepReview   = "review"
)

var wizardSteps = []wizardStep{{stepNodes, "Nodes", false}, {stepServices, "Roles", false}, {stepValues, "Settings", false}, {stepReview, "Review", false}}

type wizardStep struct {
	Name, Title string
	Now         bool
}

// wizardPage is one step of a barclamp's wizard. What was chosen so far is in the page's address, and nowhere else: nothing
// is made before the last step, and a page that is loaded anew or left by "back" has all of it.
type wizardPage struct {
	*crowbar.Wizard
	chosen
	Step     string
	Steps    []wizardStep
	Hidden   []pairOf          // what the step's own fields do not say
	Problems map[string]string // by field
	Refused  string            // why there is no plan, where no field is to blame
	Writes   bool

	Free             []*crowbar.Node // that can be taken, and the filter lets through
	Rows             []wizardRow
	All, Elsewhere   int // nodes that can be taken, and those that lie in other deployments
	Filter, Shown    string
	Further, Earlier string
	Places           []wizardPlace
	Idle             []string // nodes that were chosen and have no role
	Groups           []wizardGroup
	Secrets          []wizardField
	Foreseen         foreseen
	Mark             string // of the plan that is shown
	Moved            bool   // the plan is another than the one that was looked at
	from             int
	nodes            []*crowbar.Node // that were chosen, by name
	s                *crowbar.Snapshot
}

type wizardRow struct {
	nodeRow
	Chosen bool
	In     []bool // of each service
}

// wizards goes to the one wizard that there is, or shows all of them.
func (u *UI) wizards(_ *http.Request, s *crowbar.Snapshot, _ Visitor) (page, error) {
	all := wizardsOf(s)
	if len(all) == 1 {
		return page{to: "/wizard/" + url.PathEscape(all[0].Barclamp)}, nil
	}
	return page{name: "wizards", title: "New cluster", menu: "/deployments", body: all}, nil
}

func wizardsOf(s *crowbar.Snapshot) []*crowbar.Wizard {
	var out []*crowbar.Wizard
	for b := range s.Barclamps() {
		if w := b.Wizard(); w != nil {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b *crowbar.Wizard) int { return cmp.Compare(a.Barclamp, b.Barclamp) })
	return out
}

// wizard shows a step. What a step's form says goes into the address first.
func (u *UI) wizard(r *http.Request, s *crowbar.Snapshot, v Visitor) (page, error) {
	q := r.URL.Query()
	w, err := openWizard(r, s, v, q)
	if err != nil {
		return page{}, err
	}
	if do := q.Get("go"); do != "" {
		step, more := w.take(q, do)
		return page{to: w.address(step, more...)}, nil
	}
	u.stand(r, w, q.Get("step"), q.Has("check"))
	return w.page(), nil
}

func (w *wizardPage) page() page {
	return page{name: "wizard", title: "New cluster: " + w.Name, menu: "/deployments", body: w}
}

func openWizard(r *http.Request, s *crowbar.Snapshot, v Visitor, q url.Values) (*wizardPage, error) {
	var of *crowbar.Wizard
	if b := s.BarclampNamed(r.PathValue("barclamp")); b != nil {
		of = b.Wizard()
	}
	if of == nil {
		return nil, crowbar.Errorf(crowbar.NotFound, "There is no wizard %q. A barclamp that has one has a block 'wizard' with services.", short(80, r.PathValue("barclamp")))
	}
	w := &wizardPage{Wizard: of, chosen: readChosen(q, of), Writes: v.Writes(), Problems: map[string]string{}, Filter: strings.TrimSpace(q.Get("q")), s: s}
	w.from, _ = strconv.Atoi(q.Get("from")) // what is no number is the beginning
	w.findNodes()
	return w, nil
}

// findNodes lists the nodes that can be taken, and those that were.
func (w *wizardPage) findNodes() {
	root := w.s.DeploymentNamed("system")
	text := strings.ToLower(w.Filter)
	have := map[crowbar.ID]*crowbar.Node{}
	for n := range w.s.Nodes() {
		switch {
		case n.System || n.Removing || n.Admin:
			continue
		case root == nil || n.Deployment != root.ID || !w.SystemNodes:
			w.Elsewhere++
			continue
		}
		have[n.ID] = n
		w.All++
		if text == "" || strings.Contains(strings.ToLower(n.Name+" "+n.Address+" "+n.Description), text) {
			w.Free = append(w.Free, n)
		}
	}
	if w.CreateNodes {
		for _, n := range newNodes(w.New) {
			have[n.ID] = n
			w.Nodes = append(w.Nodes, n.ID)
		}
	}
	w.Nodes = slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values(w.Nodes))), func(id crowbar.ID) bool { return have[id] == nil })
	for _, id := range w.Nodes {
		w.nodes = append(w.nodes, have[id])
	}
	for i := range w.In {
		w.In[i] = slices.DeleteFunc(w.In[i], func(id crowbar.ID) bool { return !slices.Contains(w.Nodes, id) })
	}
	byName := func(a, b *crowbar.Node) int { return cmp.Compare(a.Name, b.Name) }
	slices.SortFunc(w.Free, byName)
	slices.SortFunc(w.nodes, byName)
}

// take reads what the form of a step says, and tells where to go.
func (w *wizardPage) take(q url.Values, do string) (step string, more []string) {
	step = cmp.Or(q.Get("step"), stepNodes)
	switch step {
	case stepNodes:
		w.takeNodes(q, do)
		more = []string{"q", w.Filter, "from", q.Get("from")}
	case stepServices:
		if w.takeServices(q) || do == "spread" {
			do = "stay"
		}
		more = []string{"from", q.Get("from")}
	}
	at := slices.IndexFunc(wizardSteps, func(s wizardStep) bool { return s.Name == step })
	switch {
	case do == "next":
		return wizardSteps[min(at+1, len(wizardSteps)-1)].Name, []string{"check", "1"}
	case do == "back":
		return wizardSteps[max(at-1, 0)].Name, nil
	case strings.HasPrefix(do, "from:"):
		more = append(more, "from", strings.TrimPrefix(do, "from:"))
	default:
		if slices.ContainsFunc(wizardSteps, func(s wizardStep) bool { return s.Name == do }) {
			return do, []string{"check", "1"}
		}
		if do == "filter" {
			more = append(more, "from", "")
		}
	}
	return step, more
}

func (w *wizardPage) takeNodes(q url.Values, do string) {
	shown, marked := readIDs(q.Get("shown")), readIDs(strings.Join(q["n"], ","))
	w.Nodes = slices.DeleteFunc(w.Nodes, func(id crowbar.ID) bool { return slices.Contains(shown, id) })
	w.Nodes = append(w.Nodes, marked...)
	switch do {
	case "all":
		for _, n := range w.Free {
			w.Nodes = append(w.Nodes, n.ID)
		}
	case "none":
		w.Nodes = nil
	}
}

// takeServices says whether another number of nodes was asked for, so that they were chosen anew.
func (w *wizardPage) takeServices(q url.Values) (anew bool) {
	shown := readIDs(q.Get("shown"))
	w.Placed = true
	for i := range w.In {
		w.In[i] = slices.DeleteFunc(w.In[i], func(id crowbar.ID) bool { return slices.Contains(shown, id) })
		w.In[i] = append(w.In[i], readIDs(strings.Join(q["p"+strconv.Itoa(i)], ","))...)
	}
	for i := range w.In {
		k := strconv.Itoa(i)
		if n, err := strconv.Atoi(q.Get("count" + k)); err == nil && q.Get("count"+k) != q.Get("had"+k) {
			w.resize(i, n)
			anew = true
		}
	}
	if q.Get("go") == "spread" {
		w.Placed = false
	}
	return anew
}

// stand is the step that is shown: the one that is asked for, or the first before it that something is wrong with.
func (u *UI) stand(r *http.Request, w *wizardPage, step string, check bool) {
	at := max(0, slices.IndexFunc(wizardSteps, func(s wizardStep) bool { return s.Name == step }))
	for i := range wizardSteps[:at] {
		w.Step = wizardSteps[i].Name
		if u.problems(r, w); len(w.Problems) > 0 {
			u.fillStep(r, w)
			return
		}
	}
	if w.Step = wizardSteps[at].Name; check {
		u.problems(r, w)
	}
	u.fillStep(r, w)
}

func (u *UI) problems(r *http.Request, w *wizardPage) {
	switch w.Step {
	case stepNodes:
		u.nodeProblems(r, w)
	case stepServices:
		w.place()
		w.serviceProblems()
	case stepValues:
		u.valueProblems(r, w)
	}
}

func (u *UI) fillStep(r *http.Request, w *wizardPage) {
	w.Steps = slices.Clone(wizardSteps)
	for i := range w.Steps {
		w.Steps[i].Now = w.Steps[i].Name == w.Step
	}
	switch w.Step {
	case stepNodes:
		w.fillNodes()
	case stepServices:
		w.place()
		w.fillServices()
	case stepValues:
		w.fillValues()
	case stepReview:
		w.place()
		w.fillServices()
		w.fillValues()
		u.fillReview(r, w)
	}
	w.hide()
}

// hide collects what the step's form has to carry along.
func (w *wizardPage) hide() {
	own := map[string][]string{stepNodes: {"name", "new"}, stepServices: nil, stepValues: nil, stepReview: nil}[w.Step]
	all := w.values()
	all.Set("step", w.Step)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if slices.Contains(own, k) || w.Step == stepValues && strings.HasPrefix(k, "v.") && w.fielded(strings.TrimPrefix(k, "v.")) {
			continue
		}
		w.Hidden = append(w.Hidden, pairOf{k, all.Get(k)})
	}
}

func (w *wizardPage) fillNodes() {
	from := min(max(w.from, 0), max(0, len(w.Free)-1))
	to := min(from+perPart, len(w.Free))
	var shown []crowbar.ID
	for _, n := range w.Free[from:to] {
		shown = append(shown, n.ID)
		w.Rows = append(w.Rows, wizardRow{nodeRow: nodeOf(w.s, n), Chosen: slices.Contains(w.Nodes, n.ID)})
	}
	w.cut(shown, from, to, len(w.Free))
}

func (w *wizardPage) cut(shown []crowbar.ID, from, to, all int) {
	w.Shown = writeIDs(shown)
	if from > 0 {
		w.Earlier = strconv.Itoa(max(0, from-perPart))
	}
	if to < all {
		w.Further = strconv.Itoa(to)
	}
}
