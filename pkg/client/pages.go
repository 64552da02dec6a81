package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Page says which part of a list is wanted, and in which order. The zero Page is all of it, by id.
type Page struct {
	Limit  int // 0 = all
	Offset int // how many are left out first
	Sort   string
	Filter map[string]string
}

// pageSize is how many objects one request asks for.
const pageSize = 500

// Each reads a list piece by piece, so that never more than a piece of it is held: f is called with some objects at a time, each
// as JSON. Where nothing is said of an order, objects that come or go meanwhile do not make it miss or repeat others.
func (c *Client) Each(ctx context.Context, k crowbar.Kind, p Page, f func([]json.RawMessage) error) error {
	byID := p.Sort == "" && p.Offset == 0
	left, after := p.Limit, crowbar.ID(0)
	for first := true; ; first = false {
		size := pageSize
		if p.Limit > 0 {
			size = min(size, left)
		}
		q := url.Values{"limit": {strconv.Itoa(size)}}
		for key, v := range p.Filter {
			q.Set("filter["+key+"]", v)
		}
		if byID {
			q.Set("after", after.String())
		} else {
			q.Set("offset", strconv.Itoa(p.Offset))
		}
		if p.Sort != "" {
			q.Set("sort", p.Sort)
		}
		some, parts, err := c.piece(ctx, "/api/v2/"+string(k)+"?"+q.Encode())
		if err != nil {
			return err
		}
		if !parts && p.Limit > 0 && len(some) > p.Limit {
			some = some[:p.Limit] // of a list that only comes whole
		}
		if len(some) > 0 || first {
			if err := f(some); err != nil {
				return err
			}
		}
		if left -= len(some); !parts || len(some) < size || p.Limit > 0 && left <= 0 {
			return nil
		}
		p.Offset += len(some)
		var last struct {
			ID crowbar.ID `json:"id"`
		}
		if err := json.Unmarshal(some[len(some)-1], &last); err != nil {
			return fmt.Errorf("list of %s: %w", k, err)
		}
		after = last.ID
	}
}

// piece is one part of a list; parts is false where it is the whole: not every list comes in parts.
func (c *Client) piece(ctx context.Context, p string) (some []json.RawMessage, parts bool, err error) {
	resp, err := c.send(ctx, http.MethodGet, p, nil)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&some); err != nil {
		return nil, false, fmt.Errorf("answer of GET %s: %w", p, err)
	}
	return some, resp.Header.Get("X-Total-Count") != "", nil
}
