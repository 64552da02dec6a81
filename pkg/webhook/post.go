package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/event"
)

// post sends one event. gone says that the sink wants no more.
func (t *told) post(ctx context.Context, e crowbar.Event, selector crowbar.Data) (gone bool, err error) {
	password, secret, err := t.Engine.OpenSink(&t.sink)
	if err != nil {
		return false, err
	}
	e.Data = maps.Clone(e.Data)
	e.Data["selector"] = selector
	if e.Subject != "" {
		e.Data["event"] = event.Params(e)
	}
	body, err := json.Marshal(e)
	if err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.sink.Endpoint, bytes.NewReader(body))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	req.Header.Set("User-Agent", "kubeclampd")
	if t.sink.Username != "" {
		req.SetBasicAuth(t.sink.Username, password)
	}
	sign(req.Header, secret, e.ID.String(), time.Now(), body)
	resp, err := t.Client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection can be used again
	if resp.StatusCode/100 != 2 {
		return resp.StatusCode == http.StatusGone, fmt.Errorf("it answered %s", resp.Status)
	}
	return false, nil
}

// sign sets the headers of Standard Webhooks: the event's id, the time, and the proof of both and the body by the secret.
func sign(h http.Header, secret, id string, now time.Time, body []byte) {
	at := strconv.FormatInt(now.Unix(), 10)
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", at)
	if secret == "" {
		return
	}
	m := hmac.New(sha256.New, key(secret))
	m.Write([]byte(id + "." + at + "."))
	m.Write(body)
	h.Set("Webhook-Signature", "v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
}

// key is the bytes of a secret: of one that begins with whsec_ what follows it in base64, else the text.
func key(secret string) []byte {
	if text, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if b, err := base64.StdEncoding.DecodeString(text); err == nil {
			return b
		}
	}
	return []byte(secret)
}

// plainClient goes where the endpoint says and nowhere else: it follows no redirects, uses no proxy, and does not reach
// link-local addresses, where clouds keep credentials.
func plainClient() *http.Client {
	dial := &net.Dialer{Timeout: 5 * time.Second, Control: func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err == nil && at.Addr().Unmap().IsLinkLocalUnicast() {
			return fmt.Errorf("%s is a link-local address: events are not sent there", at.Addr())
		}
		return nil
	}}
	return &http.Client{Transport: &http.Transport{DialContext: dial.DialContext, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute,
		TLSHandshakeTimeout: 5 * time.Second, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}
