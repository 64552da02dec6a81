// Command kubeclamp-role is every shipped role in one program: it serves the role named by its first argument, or by its
// own file name (kubeclamp-role-NAME). With "ROLE apply" it does a role on the machine that it runs on, for a script of a native
// barclamp. It does not know any role; the table is roles/roles.go.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/plugin"
	"github.com/kubeclamp/kubeclamp/roles"
)

func main() {
	name, _ := strings.CutPrefix(filepath.Base(os.Args[0]), "kubeclamp-role-")
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	if name == "--names" {
		fmt.Println(strings.Join(roles.Names(), "\n"))
		return
	}
	if len(os.Args) > 2 && os.Args[2] == "apply" {
		if err := apply(name, os.Args[3:]); err != nil {
			fmt.Fprintln(os.Stderr, "kubeclamp-role:", err)
			os.Exit(1)
		}
		return
	}
	r, ok := roles.New(name)
	if !ok {
		fmt.Fprintf(os.Stderr, "kubeclamp-role: these are roles for kubeclampd, which starts this program itself; there is no role %q, there are: %s\n",
			name, strings.Join(roles.Names(), " "))
		os.Exit(plugin.NoSuchRole)
	}
	plugin.Serve(r)
}
