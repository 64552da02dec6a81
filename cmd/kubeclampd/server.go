package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// server is the API's: one for both ways in.
type server struct {
	*http.Server
	listener net.Listener
	plain    net.Listener // without TLS; nil = none
}

// close lets go of what nobody serves.
func (s *server) close() error {
	err := s.listener.Close()
	if s.plain != nil {
		err = errors.Join(err, s.plain.Close())
	}
	return err
}

// run serves until ctx ends.
func (s *server) run(ctx context.Context) error {
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(over)
		// Readers of statuses and logs hold their requests open; they are cut after a moment and come again.
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if s.Shutdown(limit) != nil {
			_ = s.Close()
		}
	})
	defer stop()
	ways := []func() error{func() error { return s.ServeTLS(s.listener, "", "") }}
	if s.plain != nil {
		ways = append(ways, func() error { return s.Serve(s.plain) })
	}
	ended := make(chan error, len(ways))
	for _, serve := range ways {
		go func() { ended <- serve() }()
	}
	for n := range ways {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			_ = s.Close()
			for range len(ways) - 1 - n {
				<-ended
			}
			return err
		}
	}
	<-over
	if a, ok := s.Handler.(interface{ Settle() }); ok {
		a.Settle()
	}
	return nil
}
