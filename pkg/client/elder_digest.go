package client

import (
	"crypto/md5" //nolint:gosec // HTTP digest as those servers speak it
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// signer answers challenges of HTTP digest (MD5, qop auth). It is safe for concurrent use.
type signer struct {
	mu     sync.Mutex
	fields map[string]string
	count  int
}

func (s *signer) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fields == nil
}

func (s *signer) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fields = nil
}

func (s *signer) realm() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fields["realm"]
}

// read takes the first challenge that can be answered.
func (s *signer) read(challenges []string) error {
	for _, h := range challenges {
		fields, is := strings.CutPrefix(h, "Digest ")
		if !is {
			continue
		}
		found := map[string]string{}
		for fields != "" {
			name, rest, _ := strings.Cut(fields, "=")
			var value string
			if quoted, is := strings.CutPrefix(rest, `"`); is {
				value, fields, _ = strings.Cut(quoted, `"`)
			} else {
				value, fields, _ = strings.Cut(rest, ",")
			}
			found[strings.ToLower(strings.Trim(name, " ,"))] = value
			fields = strings.TrimLeft(fields, " ,")
		}
		if a := found["algorithm"]; a != "" && !strings.EqualFold(a, "MD5") || found["nonce"] == "" || !strings.Contains(found["qop"], "auth") {
			continue
		}
		s.mu.Lock()
		s.fields, s.count = found, 0
		s.mu.Unlock()
		return nil
	}
	return errors.New("it asks for no HTTP digest (MD5, qop auth)")
}

// header signs a request.
func (s *signer) header(user, password, method, uri string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	nc := fmt.Sprintf("%08x", s.count)
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	cnonce := hex.EncodeToString(b[:])
	ha1 := md5hex(user + ":" + s.fields["realm"] + ":" + password)
	response := md5hex(strings.Join([]string{ha1, s.fields["nonce"], nc, cnonce, "auth", md5hex(method + ":" + uri)}, ":"))
	h := fmt.Sprintf(`Digest username="%s", realm="%s", nonce="%s", uri="%s", response="%s", qop=auth, nc=%s, cnonce="%s", algorithm=MD5`,
		user, s.fields["realm"], s.fields["nonce"], uri, response, nc, cnonce)
	if o := s.fields["opaque"]; o != "" {
		h += fmt.Sprintf(`, opaque="%s"`, o)
	}
	return h
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s)) //nolint:gosec // as above
	return hex.EncodeToString(sum[:])
}
