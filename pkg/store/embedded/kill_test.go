package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/store"
	"github.com/kubeclamp/kubeclamp/pkg/store/embedded"
)

// TestMain is also the process that TestKilled kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv("KUBECLAMP_TEST_STATE"); dir != "" {
		fmt.Fprintln(os.Stderr, writeForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeForEver commits pairs of nodes, and prints the revision of each commit once it is made.
func writeForEver(dir string) error {
	srv, err := embedded.Start(context.Background(), embedded.Config{Dir: dir})
	if err != nil {
		return err
	}
	s, err := store.Open(context.Background(), srv.Store())
	if err != nil {
		return err
	}
	if _, err := s.Hold(context.Background(), crowbar.Daemon{Owner: fmt.Sprint("pid ", os.Getpid())}); err != nil {
		return err
	}
	for {
		v := s.View()
		a, b := &crowbar.Node{ID: v.Next()}, &crowbar.Node{ID: v.Next() + 1}
		if err := s.Commit(context.Background(), v.Rev(), crowbar.Change{Put: a}, crowbar.Change{Put: b}); err != nil {
			return err
		}
		fmt.Println(int64(s.View().Rev()))
	}
}

// TestKilled: kill -9 in the middle of commits loses none that was answered, splits none, and the next start takes over at
// once.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "KUBECLAMP_TEST_STATE="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		last, n := int64(0), 0
		for lines := bufio.NewScanner(out); lines.Scan(); n++ {
			last, _ = strconv.ParseInt(lines.Text(), 10, 64)
			if n == 30+7*round {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if n < 30 {
			t.Fatalf("round %d: only %d commits", round, n)
		}
		began := time.Now()
		srv, err := embedded.Start(t.Context(), embedded.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		s := open(t, srv.Store())
		if _, err := s.Hold(t.Context(), crowbar.Daemon{Owner: "next"}); err != nil {
			t.Fatal(err)
		}
		v := s.View()
		if took := time.Since(began); took > 5*time.Second || int64(v.Rev()) < last {
			t.Errorf("round %d: revision %d, %d was answered; took %s", round, v.Rev(), last, took)
		}
		if c := v.Count(crowbar.KindNode); c%2 != 0 || crowbar.ID(c+1) != v.Next() {
			t.Errorf("round %d: %d nodes, next %d: a commit is half there", round, c, v.Next())
		}
		s.Close()
		srv.Close()
	}
}
