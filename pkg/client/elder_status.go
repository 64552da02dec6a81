package client

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// between is how long lies between two looks at a server that tells nobody of news.
const between = time.Second

// seen is the last status that was made up, and its number.
type seen struct {
	mu   sync.Mutex
	rev  crowbar.Rev
	text string
}

// instead answers a request that the server's API has no words for, but that can be made of others.
func (c *Client) instead(ctx context.Context, it *Elder, method, p string) (*http.Response, error) {
	p, query, _ := strings.Cut(p, "?")
	q, err := url.ParseQuery(query)
	if err != nil {
		return nil, err
	}
	for _, k := range []string{"sort", "offset"} {
		if v := q.Get(k); v != "" && v != "0" {
			return nil, it.unable("--" + k + " of a list")
		}
	}
	if q.Get("force") == "true" {
		return nil, it.unable("force")
	}
	for k := range q {
		if strings.HasPrefix(k, "filter[") {
			return nil, it.unable("--filter of a list (see match)")
		}
	}
	parts := strings.Split(strings.TrimPrefix(p, "/api/v2/"), "/")
	if method != http.MethodGet || len(parts) != 3 {
		return nil, nil
	}
	key, err := url.PathUnescape(parts[1])
	if err != nil {
		return nil, err
	}
	switch parts[0] + " " + parts[2] {
	case "deployments status":
		s, err := c.elderStatus(ctx, key, q.Get("after") != "")
		return answer(s, err)
	case "node_roles log":
		if a := q.Get("attempt"); a != "" && a != "0" {
			return nil, it.unable("--attempt: it keeps the log of the last run alone")
		}
		return c.elderLog(ctx, key, q.Get("follow") == "true")
	}
	return nil, nil
}

func answer(v any, err error) (*http.Response, error) {
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(b))}, nil
}

// elderNodeRole is a node-role as both servers write it.
type elderNodeRole struct {
	ID       crowbar.ID
	Node     crowbar.ID `json:"node_id"`
	Role     crowbar.ID `json:"role_id"`
	State    crowbar.State
	Status   string
	RunLog   string `json:"runlog"`
	Cohort   int
	RunCount int       `json:"run_count"`
	Updated  time.Time `json:"updated_at"`
	Usable   bool      `json:"available"`
}

// elderStatus is made of a deployment's node-roles; with wait it is read until it is another one, half a minute at most.
func (c *Client) elderStatus(ctx context.Context, deployment string, wait bool) (crowbar.Status, error) {
	end := time.Now().Add(30 * time.Second)
	for {
		s, err := c.readStatus(ctx, deployment)
		if err != nil {
			return s, err
		}
		b, err := json.Marshal(s)
		if err != nil {
			return s, err
		}
		c.elder.seen.mu.Lock()
		news := c.elder.seen.text != string(b)
		if news {
			c.elder.seen.text = string(b)
			c.elder.seen.rev++
		}
		s.Rev = c.elder.seen.rev
		c.elder.seen.mu.Unlock()
		if news || !wait || time.Now().After(end) {
			return s, nil
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(between):
		}
	}
}

func (c *Client) readStatus(ctx context.Context, deployment string) (s crowbar.Status, err error) {
	var d struct {
		Name  string
		State int
	}
	var nodes []struct {
		ID               crowbar.ID
		Name             string
		Alive, Available bool
	}
	var roles []struct {
		ID   crowbar.ID
		Name string
	}
	var all []elderNodeRole
	for _, read := range []func() error{
		func() error { return c.Show(ctx, crowbar.KindDeployment, deployment, &d) },
		func() error { return c.List(ctx, crowbar.KindNode, &nodes) },
		func() error { return c.List(ctx, crowbar.KindRole, &roles) },
		func() error { return c.Below(ctx, crowbar.KindDeployment, deployment, "node_roles", &all) },
	} {
		if err := read(); err != nil {
			return s, err
		}
	}
	names, called, halted := map[crowbar.ID]string{}, map[crowbar.ID]string{}, map[crowbar.ID]bool{}
	for _, n := range nodes {
		names[n.ID], _, _ = strings.Cut(n.Name, ".")
		halted[n.ID] = !n.Alive || !n.Available
	}
	for _, r := range roles {
		called[r.ID] = r.Name
	}
	s = crowbar.Status{Deployment: d.Name, State: map[int]string{-1: "error", 0: "proposed", 1: "committed", 2: "active"}[d.State], NodeRoles: []crowbar.NodeRoleStatus{}}
	for _, nr := range all {
		one := crowbar.NodeRoleStatus{ID: nr.ID, Node: names[nr.Node], Role: called[nr.Role], Cohort: nr.Cohort, State: nr.State, Name: nr.State.String(), Status: nr.Status,
			Attempt: uint64(max(0, nr.RunCount)), RunCount: nr.RunCount, Since: nr.Updated, Halted: halted[nr.Node] || !nr.Usable}
		if nr.State == crowbar.Error {
			one.Failure = lastOf(nr.RunLog, nr.Status)
		}
		s.NodeRoles = append(s.NodeRoles, one)
	}
	return s, nil
}

// lastOf is the last line that says anything.
func lastOf(texts ...string) string {
	for _, t := range texts {
		lines := strings.Split(strings.TrimSpace(t), "\n")
		if last := strings.TrimSpace(lines[len(lines)-1]); last != "" {
			return last
		}
	}
	return "the server does not say why"
}

// elderLog is the log of the last run; with follow it grows until the run has ended.
func (c *Client) elderLog(ctx context.Context, key string, follow bool) (*http.Response, error) {
	var nr elderNodeRole
	if err := c.Show(ctx, crowbar.KindNodeRole, key, &nr); err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	go func() {
		written := 0
		for {
			if written > len(nr.RunLog) {
				written = 0 // another run has begun
			}
			if _, err := io.WriteString(w, nr.RunLog[written:]); err != nil {
				return
			}
			written = len(nr.RunLog)
			if !follow || nr.State != crowbar.Transition {
				_ = w.Close()
				return
			}
			select {
			case <-ctx.Done():
				_ = w.CloseWithError(ctx.Err())
				return
			case <-time.After(between):
			}
			if err := c.Show(ctx, crowbar.KindNodeRole, nr.ID.String(), &nr); err != nil {
				_ = w.CloseWithError(err)
				return
			}
		}
	}()
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: r}, nil
}
