package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// state is the store, and what it stands on.
type state struct {
	*store.Store
	me    crowbar.Daemon
	near  *embedded.Server // nil where the etcd is shared
	ended <-chan error     // the embedded etcd has ended by itself
	close func() error
}

// openState opens the state where the flags say: in the embedded etcd, or in a cluster that other daemons share.
func openState(ctx context.Context, c *config) (*state, error) {
	st := &state{me: crowbar.Daemon{Owner: c.name + "-" + random(8), Name: c.name, Version: version(), Since: time.Now().UTC()}}
	conf, err := st.under(ctx, c)
	if err != nil {
		return nil, err
	}
	conf.Log, conf.Program = c.log, version()
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if st.Store, err = store.Open(limited, conf); err != nil {
		if c.shared() {
			err = fmt.Errorf("etcd at %s: %w", strings.Join(c.etcd.Endpoints, ", "), err)
		}
		return nil, errors.Join(err, st.close())
	}
	under := st.close
	st.close = func() error { return errors.Join(st.Store.Close(), under()) }
	return st, nil
}

// under starts or dials the etcd, and sees to it that no other daemon uses the data folder.
func (st *state) under(ctx context.Context, c *config) (store.Config, error) {
	if !c.shared() {
		server, err := embedded.Start(ctx, embedded.Config{Dir: filepath.Join(c.dataDir, "etcd"), Log: c.log})
		if err != nil {
			return store.Config{}, err
		}
		st.near, st.ended, st.close = server, server.Err(), server.Close
		return server.Store(), nil
	}
	unlock, err := embedded.Lock(c.dataDir)
	if err != nil {
		return store.Config{}, err
	}
	c.etcd.Log = c.log
	conf, closed, err := store.Dial(c.etcd)
	if err != nil {
		return store.Config{}, errors.Join(err, unlock())
	}
	st.close = func() error { return errors.Join(closed(), unlock()) }
	return conf, nil
}

// hold registers this daemon; what it is given back ends, with the reason as its cause, when the registration does.
func (st *state) hold(ctx context.Context, c *config) (context.Context, context.CancelFunc, error) {
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	lost, err := st.Hold(limited, st.me)
	if err != nil {
		return nil, nil, err
	}
	held, end := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-lost:
			end(crowbar.Errorf(crowbar.Unavailable, "the registration of this daemon (%s) has ended: it stood still, or could not reach etcd, for too long, and others take over its runs; start it again", st.me.Owner))
		case err := <-st.ended:
			end(fmt.Errorf("the embedded etcd ended: %w", err))
		case <-held.Done():
		}
	}()
	return held, func() { end(nil) }, nil
}

// nameOf is the name of the daemon that an owner was a start of.
func nameOf(owner string) string {
	if i := strings.LastIndexByte(owner, '-'); i > 0 {
		return owner[:i]
	}
	return owner
}
