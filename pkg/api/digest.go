package api

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // HTTP digest as OpenCrowbar's clients speak it; it goes over TLS
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	nonceLife = 10 * time.Minute
	opaque    = "a3ViZWNsYW1w"
)

func digestOf(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}

// challenge asks for credentials, in the one form that OpenCrowbar's Go clients can read: values without commas, qop with
// one word.
func (a *API) challenge(w http.ResponseWriter, stale bool) {
	h := `Digest realm="` + a.realm() + `", qop="auth", algorithm=MD5, nonce="` + a.nonce(time.Now()) + `", opaque="` + opaque + `"`
	if stale {
		h += `, stale=true`
	}
	w.Header().Set("WWW-Authenticate", h)
}

// nonce is a time and the proof that this daemon said it.
func (a *API) nonce(now time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	m := hmac.New(sha256.New, a.secret[:])
	m.Write(b)
	return base64.RawURLEncoding.EncodeToString(append(b, m.Sum(nil)[:16]...))
}

// fresh says whether a nonce is ours, and whether it is too old.
func (a *API) fresh(nonce string, now time.Time) (ours, stale bool) {
	b, err := base64.RawURLEncoding.DecodeString(nonce)
	if err != nil || len(b) != 24 {
		return false, false
	}
	at := time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	if subtle.ConstantTimeCompare([]byte(nonce), []byte(a.nonce(at))) != 1 {
		return false, false
	}
	return true, now.Sub(at) > nonceLife
}

// digested checks a digest answer. The clients disagree whether the query belongs to the uri that they sign: both are taken,
// if the path is that of the request.
func (a *API) digested(r *http.Request, v map[string]string) (name string, ok, stale bool) {
	u, err := url.Parse(v["uri"])
	if err != nil || v["qop"] != "auth" || v["realm"] != a.realm() || v["algorithm"] != "" && !strings.EqualFold(v["algorithm"], "MD5") {
		return "", false, false
	}
	if u.EscapedPath() != r.URL.EscapedPath() || u.RawQuery != "" && u.RawQuery != r.URL.RawQuery {
		return "", false, false
	}
	ours, old := a.fresh(v["nonce"], time.Now())
	ha1, known := a.Users.HA1(v["username"], a.realm())
	if !known {
		ha1 = digestOf(a.nonce(time.Time{})) // the same work, so that nobody learns who there is
	}
	ha2 := digestOf(r.Method + ":" + v["uri"])
	want := digestOf(strings.Join([]string{ha1, v["nonce"], v["nc"], v["cnonce"], v["qop"], ha2}, ":"))
	if subtle.ConstantTimeCompare([]byte(want), []byte(v["response"])) != 1 || !known || !ours {
		return v["username"], false, false
	}
	return v["username"], !old, old
}

// digestFields takes a header apart: name=value or name="value", with commas between.
func digestFields(header string) map[string]string {
	out := map[string]string{}
	for rest := strings.TrimSpace(header); rest != ""; {
		name, after, ok := strings.Cut(rest, "=")
		if !ok {
			break
		}
		name = strings.Trim(name, " ,")
		var value string
		if strings.HasPrefix(after, `"`) {
			value, rest, ok = strings.Cut(after[1:], `"`)
			if !ok {
				break
			}
		} else {
			value, rest, _ = strings.Cut(after, ",")
		}
		out[name] = strings.TrimSpace(value)
		rest = strings.TrimLeft(rest, " ,")
	}
	return out
}

// digest lets a client find out how to sign in, and whether its credentials are good.
func (a *API) digest(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("success")) // the caller went away
}
