package ui

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// document is what was chosen, as the document that makes the cluster.
func (w *wizardPage) document() (crowbar.Cluster, map[string]string) {
	doc := crowbar.Cluster{Deployment: w.Into}
	for _, n := range w.nodes {
		cn := crowbar.ClusterNode{Name: n.Name, Address: n.Address, Jig: n.Jig, Roles: []string{},
			SSH: crowbar.ClusterSSH{Host: n.SSH.Host, Port: n.SSH.Port, User: n.SSH.User, HostKey: n.SSH.HostKey}}
		for i, sv := range w.Services {
			if slices.Contains(w.In[i], n.ID) {
				cn.Roles = append(cn.Roles, sv.Roles...)
			}
		}
		cn.Roles = unique(cn.Roles)
		doc.Nodes = append(doc.Nodes, cn)
	}
	var bad map[string]string
	doc.Attribs, bad = w.attribs()
	return doc, bad
}

func unique(l []string) []string {
	out := []string{}
	for _, s := range l {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// faults is what an engine finds wrong with a document, by place in it; "" is what has no place.
func faults(err error) map[string]string {
	out := map[string]string{}
	if err == nil {
		return out
	}
	at := ""
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if place, text, ok := strings.Cut(line, ": "); ok && placed(place) {
			at, line = place, text
		}
		if out[at] != "" {
			out[at] += "\n"
		}
		out[at] += line
	}
	return out
}

func placed(place string) bool {
	return place == "deployment" || strings.HasPrefix(place, "attribs.") || strings.HasPrefix(place, "nodes[")
}

func (u *UI) nodeProblems(r *http.Request, w *wizardPage) {
	w.Problems = map[string]string{}
	bare := crowbar.Cluster{Deployment: w.Into, Nodes: []crowbar.ClusterNode{}}
	_, err := u.Engine.Foresee(r.Context(), crowbar.PlanFor{Deployment: w.Into, Document: &bare}, nil)
	switch text := faults(err)["deployment"]; {
	case w.Into == "":
		w.Problems["name"] = "Give it a name."
	case w.s.DeploymentNamed(w.Into) != nil:
		w.Problems["name"] = "There is a deployment of this name already. Take another one, or put roles on nodes on its own page."
	case text != "":
		w.Problems["name"] = text
	}
	if len(w.nodes) == 0 {
		w.Problems["nodes"] = "Choose the nodes that are to be in it."
	}
	for i, n := range newNodes(w.New) {
		where := fmt.Sprintf("Line %d: ", i+1)
		at, err := netip.ParseAddr(n.Address)
		switch {
		case !w.CreateNodes:
		case n.Address == "" || err != nil:
			w.Problems["new"] = where + "want a name and an IP address, such as: n1.example.org 192.0.2.11"
		case w.s.NodeNamed(n.Name) != nil:
			w.Problems["new"] = where + n.Name + " is a node already: choose it above."
		case slices.ContainsFunc(w.nodes, func(o *crowbar.Node) bool { return o.ID != n.ID && (o.Name == n.Name || o.Address == at.String()) }):
			w.Problems["new"] = where + "this name or address is there twice."
		}
	}
}

func (w *wizardPage) serviceProblems() {
	w.Problems = map[string]string{}
	for i, sv := range w.Services {
		if sv.Count != 0 && sv.With == "" && len(w.In[i]) == 0 {
			w.Problems[fmt.Sprint("in", i)] = "Choose at least one node for it."
		}
	}
}

func (u *UI) fillReview(r *http.Request, w *wizardPage) {
	doc, _ := w.document()
	p, err := u.Engine.Foresee(r.Context(), crowbar.PlanFor{Deployment: w.Into, Document: &doc}, nil)
	if err != nil {
		w.Refused = err.Error()
		return
	}
	w.Foreseen, w.Mark = foresee(p), markOf(p)
}

// Changed lists the settings that are not as they are by default.
func (w *wizardPage) Changed() []pairOf {
	set, _ := w.attribs()
	var out []pairOf
	for _, k := range slices.Sorted(keys(set)) {
		if w.fielded(k) {
			out = append(out, pairOf{k, short(200, pretty(set[k]))})
		}
	}
	return out
}

// Self is the address of the review, for the form that ends the wizard.
func (w *wizardPage) Self() string { return w.address(stepReview) }

// markOf tells a plan from another one: by what runs where, not by when it was made.
func markOf(p *crowbar.Plan) string {
	h := sha256.New()
	for _, st := range p.Steps {
		fmt.Fprintf(h, "%q %q %q %q\n", st.Node, st.Role, st.Do, st.Why)
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

// wizardGo makes the cluster, by the REST API and with the rights of who asks for it, if it still is the one whose plan they
// have seen.
func (u *UI) wizardGo(r *http.Request, s *crowbar.Snapshot, v Visitor) (page, error) {
	r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		return page{}, crowbar.Errorf(crowbar.Invalid, "The form could not be read: %v.", err)
	}
	w, err := openWizard(r, s, v, r.URL.Query())
	if err != nil {
		return page{}, err
	}
	u.stand(r, w, stepReview, true)
	if w.Step != stepReview || w.Refused != "" {
		return w.page(), nil
	}
	if w.Mark != r.PostForm.Get("plan") {
		w.Moved = true
		return w.page(), nil
	}
	doc, _ := w.document()
	for _, f := range w.Secrets {
		text := r.PostForm.Get("s." + f.Name)
		if text == "" {
			continue
		}
		if doc.Attribs[f.Name], err = meant(s.AttribNamed(f.Name), text); err != nil {
			w.Refused = f.Name + ": " + err.Error()
			return w.page(), nil
		}
	}
	b, err := json.Marshal(doc)
	if err != nil {
		return page{}, err
	}
	at := "/deployments/" + url.PathEscape(w.Into)
	if err := u.call(r, http.MethodPut, "/api/v2"+at+"/apply", bytes.NewReader(b), &struct{}{}); err != nil {
		w.Refused = err.Error()
		return w.page(), nil
	}
	return page{to: at}, nil
}
