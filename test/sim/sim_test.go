// Package sim lives through random histories of whole deployments, under a clock of its own: real engine, annealer and
// graph over the store in memory, with failing roles, links, nodes and daemons. It does not know etcd, ssh or plugins.
//
// An oracle looks at every commit and every step on a node. A seed that fails is named, and replayed with -sim.seed.
package sim

import (
	"cmp"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	oneSeed   = flag.Uint64("sim.seed", 0, "replay this seed alone, with its whole log")
	keepOn    = flag.Bool("sim.all", false, "go on after a seed that failed")
	manySeeds = flag.Uint64("sim.seeds", 0, "live through so many seeds, however long it takes; 0 = as many as there is time for")
	fromSeed  = flag.Uint64("sim.from", 1, "begin with this seed")
)

// A run that is told nothing lives through so many seeds, or as many as there is time for.
const (
	defaultSeeds = 200
	defaultTime  = 20 * time.Second
)

// TestMain lets garbage lie longer: a world is small, and soon over.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}

// TestSim lives through many seeds: -sim.seeds says how many.
func TestSim(t *testing.T) {
	if *oneSeed != 0 {
		for range 50 { // what happens at one and the same moment may go either way
			if bad := live(t, *oneSeed, planted); len(bad) > 0 {
				t.Fatal(strings.Join(bad, "\n"))
			}
		}
		return
	}
	if testing.Short() && *manySeeds == 0 {
		t.Skip("it takes half a minute")
	}
	seeds := cmp.Or(*manySeeds, defaultSeeds)
	began := time.Now()
	var next, done, failed atomic.Uint64
	goOn := func() bool {
		return (*keepOn || failed.Load() == 0) && (*manySeeds > 0 || time.Since(began) < defaultTime)
	}
	t.Run("seeds", func(t *testing.T) {
		for shard := range runtime.GOMAXPROCS(0) {
			t.Run(strconv.Itoa(shard), func(t *testing.T) {
				t.Parallel()
				for i := next.Add(1) - 1; i < seeds && goOn(); i = next.Add(1) - 1 {
					seed := *fromSeed + i
					if bad := live(t, seed, planted); len(bad) > 0 {
						failed.Add(1)
						t.Errorf("%s\nreplay it with: go test%s ./test/sim -run 'TestSim$' -sim.seed=%d", strings.Join(bad, "\n"), tagged, seed)
					}
					done.Add(1)
				}
			})
		}
	})
	t.Logf("%d seeds from %d on, %d with violations, %.0f seeds/s", done.Load(), *fromSeed, failed.Load(), float64(done.Load())/time.Since(began).Seconds())
}

func number(env string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil {
		return n
	}
	return otherwise
}

// TestPlantedBugs: the oracle finds each bug that can be planted, within some seeds.
func TestPlantedBugs(t *testing.T) {
	if planted != "" {
		t.Skip("a bug is planted already")
	}
	for _, bug := range bugs {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(200) {
				if bad := live(t, 1_000_000+seed, bug); len(bad) > 0 {
					said, _, _ := strings.Cut(bad[0], "\n")
					t.Logf("seed %d: %s", 1_000_000+seed, said)
					return
				}
			}
			t.Errorf("nobody noticed the planted bug %q in 200 seeds", bug)
		})
	}
}

// TestTheTag: with the build tag plantbug the sim fails, and says which seed.
func TestTheTag(t *testing.T) {
	if planted != "" || testing.Short() {
		t.Skip("it builds the sim once more")
	}
	out, err := exec.Command("go", "test", "-tags", "plantbug", "-run", "TestSim$", ".", "-sim.seeds", "200").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "go test -tags plantbug ./test/sim -run 'TestSim$' -sim.seed=") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestEveryWrite: a daemon that is killed at any of its writes, before it or after it, leaves nothing that the next one cannot
// go on with, and the end is the same.
func TestEveryWrite(t *testing.T) {
	stride := number("KUBECLAMP_SIM_STRIDE", 9)
	for seed := range uint64(3) {
		one := func(cut int, late bool) *world {
			var w *world
			bubble(t, seed, func(t *testing.T) {
				w = newWorld(t, seed, "")
				w.cut, w.cutLate = cut, late
				w.wishes()
			})
			if len(w.bad) > 0 {
				t.Fatalf("seed %d, killed at write %d, which was made %v: %s\n%s", seed, cut, late, w.bad[0], strings.Join(w.log, "\n"))
			}
			return w
		}
		whole := one(0, false)
		for cut := 1; cut <= whole.count; cut += stride {
			for _, late := range []bool{false, true} {
				if w := one(cut, late); w.outcome() != whole.outcome() {
					t.Fatalf("seed %d, killed at write %d, which was made %v, ends otherwise:\n%s\n%s", seed, cut, late, w.outcome(), whole.outcome())
				}
			}
		}
		t.Logf("seed %d: every %d. of %d writes", seed, stride, whole.count)
	}
}

// TestAnyOrder: the same wishes end in the same state, however long things take, whatever fails, and in which order they run.
func TestAnyOrder(t *testing.T) {
	for seed := range uint64(number("KUBECLAMP_SIM_ORDERS", 25)) {
		var first string
		for salt := range 4 {
			var w *world
			bubble(t, seed, func(t *testing.T) {
				w = newWorld(t, seed, "")
				w.salt = salt
				w.mild.Store(salt > 1)
				w.wishes()
			})
			if len(w.bad) > 0 {
				t.Fatalf("seed %d, salt %d: %s\n%s", seed, salt, w.bad[0], strings.Join(w.log, "\n"))
			}
			if salt == 0 {
				first = w.outcome()
			} else if got := w.outcome(); got != first {
				t.Fatalf("seed %d ends in two ways:\n%s\n%s", seed, first, got)
			}
		}
	}
}

// live lives through one seed and says what was wrong.
func live(t *testing.T, seed uint64, bug string) (bad []string) {
	t.Helper()
	bubble(t, seed, func(t *testing.T) {
		w := newWorld(t, seed, bug)
		w.live()
		if bad = w.bad; len(bad) > 0 && *oneSeed != 0 {
			bad = append(bad, w.log...)
		} else if len(bad) > 0 {
			bad = append(bad, w.log[max(0, len(w.log)-25):]...)
		}
	})
	return bad
}

func bubble(t *testing.T, seed uint64, do func(*testing.T)) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			panic(fmt.Sprintf("seed %d: %v", seed, p))
		}
	}()
	synctest.Test(t, do)
}

var silent = slog.New(slog.DiscardHandler)
