package main

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// A commit of several times what an etcd with its own limits takes in a request, over the wire: one commit for who makes it,
// who watches, and who comes later.
func TestLargeCommitOnEtcdsOwnLimits(t *testing.T) {
	etcd := externalEtcd(t)
	open := func() *store.Store {
		t.Helper()
		conf, closed, err := store.Dial(store.Remote{Endpoints: []string{etcd}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closed() })
		s, err := store.Open(t.Context(), conf)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s
	}
	writer, reader := open(), open()
	if _, err := writer.Hold(t.Context(), crowbar.Daemon{Owner: strings.Repeat("long-name-", 6) + "1", Name: "a"}); err != nil {
		t.Fatal(err)
	}
	var all []crowbar.Change
	for i := range crowbar.ID(3000) {
		var text strings.Builder
		for range 60 {
			text.WriteString(rand.Text())
		}
		all = append(all, crowbar.Change{Put: &crowbar.Node{ID: i + 1, Name: fmt.Sprintf("n%d.a.b", i), Description: text.String()}})
	}
	if err := writer.Commit(t.Context(), writer.View().Rev(), all...); err != nil {
		t.Fatal(err)
	}
	want := storetest.Dump(writer.View())
	if len(want) < 4<<20 {
		t.Fatalf("%d bytes prove little", len(want))
	}
	eventually(t, "the reader has it", func() bool { return reader.View().Rev() == writer.View().Rev() })
	for name, s := range map[string]*store.Store{"the reader": reader, "one that comes later": open()} {
		if storetest.Dump(s.View()) != want {
			t.Errorf("%s sees another state", name)
		}
	}
}
