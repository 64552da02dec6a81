// Command testserver answers over HTTP and UDP who it is and what it can reach, so that a cluster's network, Services and DNS
// can be proven from inside pods. It is its own client as well, as there is no shell beside it. Never give it a public
// address: /dial fetches any URL for anybody.
//
//	testserver [-http :8080] [-udp :8080]
//	testserver get URL
//	testserver resolve NAME
//	testserver udp HOST:PORT TEXT
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// patience is how long one look-up, fetch or echo may take.
const patience = 5 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	out, err := run(ctx, os.Args[1:])
	fmt.Print(out)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (string, error) {
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return client(ctx, args)
	}
	f := flag.NewFlagSet("testserver", flag.ContinueOnError)
	web := f.String("http", ":8080", "address for HTTP")
	udp := f.String("udp", ":8080", "address for UDP echo")
	if err := f.Parse(args); err != nil {
		return "", err
	}
	return "", serve(ctx, *web, *udp)
}

func client(ctx context.Context, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch {
	case args[0] == "get" && len(args) == 2:
		return get(ctx, args[1])
	case args[0] == "resolve" && len(args) == 2:
		return resolve(ctx, args[1])
	case args[0] == "udp" && len(args) == 3:
		return echo(ctx, args[1], args[2])
	}
	return "", errors.New("want one of: get URL, resolve NAME, udp HOST:PORT TEXT, or no argument to serve")
}

// serve answers until ctx ends.
func serve(ctx context.Context, web, udp string) error {
	u, err := net.ListenPacket("udp", udp)
	if err != nil {
		return err
	}
	defer u.Close()
	l, err := net.Listen("tcp", web)
	if err != nil {
		return err
	}
	go echoServer(u)
	s := &http.Server{Handler: mux(), ReadHeaderTimeout: patience}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	fmt.Println("http", l.Addr(), "udp", u.LocalAddr())
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		last, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		return s.Shutdown(last)
	}
}

func mux() *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	m.HandleFunc("GET /hostname", func(w http.ResponseWriter, _ *http.Request) { answer(w)(os.Hostname()) })
	m.HandleFunc("GET /clientip", func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		answer(w)(host, err)
	})
	m.HandleFunc("GET /dial", func(w http.ResponseWriter, r *http.Request) { answer(w)(limited(r, get, "url")) })
	m.HandleFunc("GET /resolve", func(w http.ResponseWriter, r *http.Request) { answer(w)(limited(r, resolve, "name")) })
	return m
}

// limited runs f with one argument of the query and little patience.
func limited(r *http.Request, f func(context.Context, string) (string, error), arg string) (string, error) {
	v := r.URL.Query().Get(arg)
	if v == "" {
		return "", fmt.Errorf("argument %q is missing", arg)
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	return f(ctx, v)
}

func answer(w http.ResponseWriter) func(string, error) {
	return func(text string, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		fmt.Fprintln(w, strings.TrimSpace(text))
	}
}

// get fetches a URL over a new connection.
func get(ctx context.Context, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err == nil && res.StatusCode/100 != 2 {
		err = fmt.Errorf("%s answers %s: %s", url, res.Status, strings.TrimSpace(string(body)))
	}
	return string(body), err
}

// resolve gives a name's addresses, one a line, by the resolver of the pod.
func resolve(ctx context.Context, name string) (string, error) {
	all, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return "", err
	}
	return strings.Join(all, "\n") + "\n", nil
}

// echo sends text and gives what comes back.
func echo(ctx context.Context, addr, text string) (string, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "udp", addr)
	if err != nil {
		return "", err
	}
	defer c.Close()
	end, _ := ctx.Deadline()
	c.SetDeadline(end)
	if _, err := c.Write([]byte(text)); err != nil {
		return "", err
	}
	b := make([]byte, 64<<10)
	n, err := c.Read(b)
	return string(b[:n]) + "\n", err
}

// echoServer sends every packet back until the socket is closed.
func echoServer(c net.PacketConn) {
	b := make([]byte, 64<<10)
	for {
		n, from, err := c.ReadFrom(b)
		if err != nil {
			return
		}
		c.WriteTo(b[:n], from)
	}
}
