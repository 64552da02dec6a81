package client

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Events says what somebody wants to hear of; what is empty takes everything.
type Events struct {
	Since      string // the last event that was heard; "" = from now on
	Types      []string
	Deployment string
	Node       string
	Follow     bool // go on until the context ends
}

// Hear calls each with what happens, in order. Where it follows and the daemon goes away it comes again, and goes on after
// the last event that was heard. An error of each ends it.
func (c *Client) Hear(ctx context.Context, what Events, each func(crowbar.Event) error) error {
	last := what.Since
	for {
		var mine error
		err := c.hear(ctx, what, &last, func(e crowbar.Event) error { mine = each(e); return mine })
		switch {
		case mine != nil:
			return mine
		case ctx.Err() != nil:
			return ctx.Err()
		case !what.Follow, err != nil && crowbar.KindOf(err) != crowbar.Unavailable:
			return err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// again is how long a listener waits before it comes again.
const again = 2 * time.Second

func (c *Client) hear(ctx context.Context, what Events, last *string, each func(crowbar.Event) error) error {
	q := url.Values{}
	for name, v := range map[string]string{"type": strings.Join(what.Types, ","), "deployment": what.Deployment, "node": what.Node, "since": *last} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if !what.Follow {
		q.Set("follow", "false")
	}
	resp, err := c.send(ctx, http.MethodGet, "/api/v2/events?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	id, data, kind := "", "", ""
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			if what.Follow || ctx.Err() != nil {
				return crowbar.Errorf(crowbar.Unavailable, "the daemon at %s has ended the events: %w", c.conf.Endpoint, err)
			}
			return nil
		}
		switch name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":"); name {
		case "id":
			id = strings.TrimPrefix(value, " ")
		case "data":
			data += strings.TrimPrefix(value, " ")
		case "event":
			kind = strings.TrimPrefix(value, " ")
		case "":
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				continue // a comment
			}
			if data != "" && kind == "" {
				var e crowbar.Event
				if err := json.Unmarshal([]byte(data), &e); err != nil {
					return err
				}
				if err := each(e); err != nil {
					return err
				}
			}
			if id != "" {
				*last = id
			}
			data, kind = "", ""
		}
	}
}
