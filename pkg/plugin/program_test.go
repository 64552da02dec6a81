package plugin

import (
	"crypto/sha256"
	"fmt"
	"os"
	"testing"
)

func TestARoleTellsItsProgram(t *testing.T) {
	file, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"mirror", "hands"} { // with and without more abilities than Apply
		r, ok := get(t, host(t), name).(interface{ Program() string })
		if want := fmt.Sprintf("%x", sha256.Sum256(file)); !ok || r.Program() != want {
			t.Errorf("%s: %v, want %s", name, r, want)
		}
	}
}
