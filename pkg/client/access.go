package client

import (
	"context"
	"net/http"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// Me is the key of the caller's own user.
const Me = "me"

// Lock lets a user in no more, or again.
func (c *Client) Lock(ctx context.Context, user string, locked bool, into any) error {
	method := http.MethodDelete
	if locked {
		method = http.MethodPost
	}
	return c.do(ctx, method, path(crowbar.KindUser, user)+"/lock", nil, into)
}

// SetPassword gives a user a password; for one's own, current is the present one.
func (c *Client) SetPassword(ctx context.Context, user, current, password string) error {
	body := map[string]string{"password": password, "current_password": current}
	return c.do(ctx, http.MethodPut, path(crowbar.KindUser, user)+"/reset_password", body, nil)
}
