// Package robustness has real daemons die, on one machine and with real processes: everything that was answered must still
// be so, and nothing may run twice. It does not look inside a daemon.
package robustness

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/plugin"
)

// The test binary is also the roles' program, and the way into a daemon's jail.
func TestMain(m *testing.M) {
	switch {
	case plugin.Started():
		plugin.Serve(recorder{name: os.Args[len(os.Args)-1], life: lifeOfParent()})
	case len(os.Args) == 2 && os.Args[1] == "--names": // as kubeclamp-role
		fmt.Println(strings.Join(recorded, "\n"))
		return
	case os.Getenv(jailKey) != "":
		fmt.Fprintln(os.Stderr, enterJail())
		os.Exit(1)
	}
	os.Exit(m.Run())
}
