//go:build linux

package conformance

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
)

// fact is one of the 80 facts of OpenCrowbar's API that its clients rely on.
type fact struct {
	number int
	words  string
	holds  func(d *daemon)
}

// leftOut are the facts that do not apply; docs/compatibility.md says of each why.
var leftOut = []int{78}

// TestFacts asks one real daemon, over TLS and with HTTP digest. Each fact has nodes and deployments of its own.
func TestFacts(t *testing.T) {
	t.Parallel()
	d := start(t)
	for _, f := range allFacts() {
		t.Run(fmt.Sprintf("%02d_%s", f.number, f.words), func(t *testing.T) { f.holds(d.on(t)) })
	}
}

func allFacts() []fact {
	var all []fact
	for _, some := range [][]fact{protocolFacts(), objectFacts(), bindingFacts(), annealFacts(), statusFacts(), scriptFacts()} {
		all = append(all, some...)
	}
	return all
}

// TestEveryFactIsTold: each of the 80 facts is tested or left out, no more than 8 are left out, and docs/compatibility.md
// names those, each by a line of its own.
func TestEveryFactIsTold(t *testing.T) {
	seen := map[int]string{}
	for _, f := range allFacts() {
		if seen[f.number] != "" {
			t.Errorf("fact %d is there twice", f.number)
		}
		seen[f.number] = f.words
	}
	b, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[int]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(string(b), -1) {
		n, _ := strconv.Atoi(m[1])
		told[n] = true
	}
	for _, n := range leftOut {
		if seen[n] != "" {
			t.Errorf("fact %d is tested and left out", n)
		}
		if !told[n] {
			t.Errorf("docs/compatibility.md does not say why fact %d is left out", n)
		}
		delete(told, n)
		seen[n] = "left out"
	}
	for n := range told {
		t.Errorf("docs/compatibility.md says that fact %d is left out, and it is not", n)
	}
	for n := 1; n <= 80; n++ {
		if seen[n] == "" {
			t.Errorf("fact %d is neither tested nor left out", n)
		}
	}
	if len(leftOut) > 8 {
		t.Errorf("%d facts are left out", len(leftOut))
	}
}
