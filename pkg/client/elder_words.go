package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	glob "path"
	"slices"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// std are the kinds that both servers list, show, match and sample.
const std = "attribs available_hammers barclamps deployments deployment_roles nodes node_roles roles jigs hammers networks network_ranges network_routers network_allocations dns_name_filters dns_name_entries users"

// abilities are the requests that both servers' APIs have, beside reading: METHODS PATH, with * for one part of it.
var abilities = []string{
	"POST attribs", "POST barclamps", "PUT barclamps/*",
	"POST deployments", "PUT PATCH DELETE deployments/*", "PUT deployments/*/propose", "PUT deployments/*/commit", "PUT deployments/*/recall", "POST deployments/*/roles",
	"POST deployment_roles", "PUT DELETE deployment_roles/*", "PUT deployment_roles/*/propose", "PUT deployment_roles/*/commit",
	"POST nodes", "PUT PATCH DELETE nodes/*", "PUT nodes/*/propose", "PUT nodes/*/commit", "PUT nodes/*/redeploy", "GET PUT nodes/*/power", "GET nodes/*/addresses",
	"POST node_roles", "PUT PATCH DELETE node_roles/*", "PUT node_roles/*/retry", "PUT node_roles/*/propose", "PUT node_roles/*/commit",
	"PUT roles/*", "PUT PATCH jigs/*", "POST hammers", "PUT PATCH DELETE hammers/*", "GET groups", "POST groups", "GET PUT DELETE groups/*", "GET groups/*/nodes", "POST DELETE groups/*/nodes/*",
	"POST networks", "PUT PATCH DELETE networks/*", "POST network_ranges", "PUT PATCH DELETE network_ranges/*", "POST network_routers", "PUT PATCH DELETE network_routers/*",
	"POST network_allocations", "DELETE network_allocations/*", "POST networks/*/allocate_ip", "GET networks/*/allocations",
	"POST dns_name_filters", "PUT PATCH DELETE dns_name_filters/*", "GET runs", "GET runs/*", "POST users", "PUT PATCH DELETE users/*",
	"GET PUT PATCH nodes/*/attribs/*", "GET PUT PATCH roles/*/attribs/*", "GET PUT PATCH node_roles/*/attribs/*", "GET PUT PATCH deployments/*/attribs/*", "GET PUT PATCH deployment_roles/*/attribs/*",
	"GET nodes/*/*", "GET roles/*/*", "GET node_roles/*/attribs", "GET deployments/*/nodes", "GET deployments/*/roles", "GET deployments/*/node_roles", "GET deployments/*/deployment_roles", "GET deployments/*/attribs", "GET deployment_roles/*/*",
	"GET networks/*/network_ranges", "GET networks/*/network_routers", "GET networks/*/network_allocations", "GET nodes/*/node_roles/*",
}

// onlyRebar are what Digital Rebar has beside.
var onlyRebar = []string{"PUT deployments/*/redeploy", "GET providers", "GET providers/*", "GET tenants", "GET capabilities", "GET profiles", "GET profiles/*", "GET event_sinks", "GET event_selectors"}

// can refuses what the server's API has no request for.
func (e *Elder) can(method, p string) error {
	p, _, _ = strings.Cut(p, "?")
	if strings.HasPrefix(p, "/api/status/inventory") && method == http.MethodGet {
		return nil
	}
	rest, is := strings.CutPrefix(p, "/api/v2/")
	parts := strings.Split(rest, "/")
	if is && slices.Contains(strings.Fields(std), parts[0]) && (method == http.MethodGet && len(parts) <= 2 || method == http.MethodPost && len(parts) == 2 && parts[1] == "match") {
		return nil
	}
	has := func(all []string) bool {
		return slices.ContainsFunc(all, func(a string) bool {
			words := strings.Fields(a)
			fits, _ := glob.Match(words[len(words)-1], rest)
			return fits && slices.Contains(words[:len(words)-1], method)
		})
	}
	if is && (has(abilities) || e.Rebar() && has(onlyRebar)) {
		return nil
	}
	return e.unable(method + " " + p)
}

func (e *Elder) unable(what string) error {
	return crowbar.Errorf(crowbar.Invalid, "%s cannot do that: its API has no %s; nothing was changed. A kubeclampd can ('kubeclamp import' takes what is here into one)", e, what)
}

// nodes is where they are.
const nodes = "/api/v2/nodes/"

// keys are what may be said of new and changed objects; other keys would be ignored without a word.
var keys = map[string]string{
	"nodes":       "name description admin target_role_id deployment deployment_id old_deployment_id allocated alive system available bootenv ip mac",
	"deployments": "name description parent parent_id",
	"node_roles":  "node node_id role role_id deployment deployment_id data",
}

const rebarKeys = "provider provider_id variant arch os_family profiles hints tenant_id uuid"

// words is the body of a request in the server's words: full names of nodes, and no key that it would ignore.
func (c *Client) words(ctx context.Context, it *Elder, method, p string, body []byte) ([]byte, error) {
	parts := strings.Split(strings.TrimPrefix(p, "/api/v2/"), "/")
	known := strings.Fields(keys[parts[0]])
	if len(known) == 0 || len(parts) > 2 || len(body) == 0 || method != http.MethodPost && method != http.MethodPut || len(parts) == 2 && parts[1] == "match" {
		return body, nil
	}
	var said map[string]any
	if err := json.Unmarshal(body, &said); err != nil {
		return nil, err
	}
	if it.Rebar() {
		known = append(known, strings.Fields(rebarKeys)...)
	}
	for k := range said {
		if !slices.Contains(known, k) {
			return nil, crowbar.Errorf(crowbar.Invalid, "%s takes no %q of %s, there are %s; nothing was changed", it, k, parts[0], strings.Join(known, ", "))
		}
	}
	if said["deployment"] == "" {
		delete(said, "deployment")
	}
	if n, is := said["node"].(string); is {
		full, err := c.fullName(ctx, n)
		if err != nil {
			return nil, err
		}
		said["node"] = full
	}
	return json.Marshal(said)
}

// spell is a path in the server's words: full names of nodes, and the id of what is called NODE/ROLE here.
func (c *Client) spell(ctx context.Context, p string) (string, error) {
	rest, query, _ := strings.Cut(strings.TrimPrefix(p, "/api/v2/"), "?")
	parts := strings.Split(rest, "/")
	if !strings.HasPrefix(p, "/api/v2/") || len(parts) < 2 {
		return p, nil
	}
	key, err := url.PathUnescape(parts[1])
	if err != nil {
		return "", err
	}
	switch {
	case parts[0] == "nodes" && key != "match" && key != "sample":
		if key, err = c.fullName(ctx, key); err != nil {
			return "", err
		}
		parts[1] = url.PathEscape(key)
	case parts[0] == "node_roles" && strings.Contains(key, "/"):
		node, role, _ := strings.Cut(key, "/")
		var nr struct{ ID crowbar.ID }
		if err := c.do(ctx, http.MethodGet, nodes+url.PathEscape(node)+"/node_roles/"+url.PathEscape(role), nil, &nr); err != nil {
			return "", err
		}
		parts[1] = nr.ID.String()
	}
	q, err := url.ParseQuery(query)
	if err != nil {
		return "", err
	}
	for k := range q { // which part of a list is asked for, for one
		if k != "bucket" && k != "poweraction" || q.Get(k) == "" {
			q.Del(k)
		}
	}
	p = "/api/v2/" + strings.Join(parts, "/")
	if len(q) > 0 {
		p += "?" + q.Encode()
	}
	return p, nil
}

// fullName is the name of the one node with a short name; the servers know full names alone.
func (c *Client) fullName(ctx context.Context, key string) (string, error) {
	if _, err := strconv.Atoi(key); err == nil || strings.Contains(key, ".") || key == "admin" || len(key) == 36 {
		return key, nil
	}
	var all []struct{ Name string }
	if err := c.List(ctx, crowbar.KindNode, &all); err != nil {
		return "", err
	}
	var found []string
	for _, n := range all {
		if short, _, _ := strings.Cut(n.Name, "."); strings.EqualFold(short, key) {
			found = append(found, n.Name)
		}
	}
	switch len(found) {
	case 0:
		return key, nil // the server says that there is none
	case 1:
		return found[0], nil
	}
	return "", crowbar.Errorf(crowbar.Conflict, "node %s may be %s", key, strings.Join(found, " or "))
}
