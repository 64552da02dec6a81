package main

import (
	"context"
	"net"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
)

func TestHTTP(t *testing.T) {
	s := httptest.NewServer(mux())
	defer s.Close()
	host, _ := os.Hostname()
	tests := []struct{ path, want string }{
		{"/healthz", "ok"},
		{"/hostname", host},
		{"/clientip", "127.0.0.1"},
		{"/dial?url=" + url.QueryEscape(s.URL+"/hostname"), host},
		{"/resolve?name=127.0.0.1", "127.0.0.1"},
	}
	for _, tt := range tests {
		got, err := run(context.Background(), []string{"get", s.URL + tt.path})
		if err != nil || strings.TrimSpace(got) != tt.want {
			t.Errorf("%s: %q, %v", tt.path, got, err)
		}
	}
	for _, path := range []string{"/dial", "/nothing", "/resolve?name=no.such.invalid", "/dial?url=http%3A%2F%2F127.0.0.1%3A1"} {
		if got, err := run(context.Background(), []string{"get", s.URL + path}); err == nil {
			t.Errorf("%s: %q and no error", path, got)
		}
	}
}

func TestUDP(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go echoServer(c)
	got, err := run(context.Background(), []string{"udp", c.LocalAddr().String(), "hello"})
	if err != nil || got != "hello\n" {
		t.Errorf("%q, %v", got, err)
	}
	c.Close()
}

func TestServeEndsWhenTold(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := run(ctx, []string{"-http", "127.0.0.1:0", "-udp", "127.0.0.1:0"}); err != nil {
		t.Error(err)
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{{"get"}, {"dance", "now"}, {"-port", "1"}} {
		if _, err := run(context.Background(), args); err == nil {
			t.Errorf("%v taken", args)
		}
	}
}
