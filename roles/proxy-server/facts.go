package proxyserver

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// probes says which process is ours where there is no systemd: its pid, and the hash of the configuration that it started with.
// The network of the node's address is for the list of who may use it.
var probes = []linux.Probe{
	{Name: "process", Script: `pid=$(cat ` + runDir + `/squid.pid 2>/dev/null) && tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q ` + confFile + ` && cat ` + runDir + `/started`},
	{Name: "addresses", Script: "ip -o address show"},
}

// networkOf finds the network of an address in the output of ip.
func networkOf(out, addr string) string {
	for _, l := range strings.Split(out, "\n") {
		for _, w := range strings.Fields(l) {
			if ip, n, err := net.ParseCIDR(w); err == nil && ip.String() == addr {
				return n.String()
			}
		}
	}
	return ""
}

// launch starts, or restarts, squid as a daemon of its own where systemd is not there to do it.
func launch(ctx context.Context, on role.Target, s setup) error {
	if s.do == "" {
		return nil
	}
	if err := stop(ctx, on); err != nil { // one that a killed run started is not known by its configuration
		return err
	}
	_, err := jig.Run(ctx, on.Conn, jig.Script(`
PATH=/usr/sbin:/usr/bin:/sbin:/bin
squid -n kubeclamp -z -N -f "$1" >/dev/null 2>&1
squid -n kubeclamp -f "$1" >/dev/null && printf %s "$3" >"$2/started"
`, confFile, runDir, s.sum))
	if err != nil {
		return fmt.Errorf("start squid on node %s: %w", on.Node, err)
	}
	return nil
}

// stop ends our daemon and waits until it is gone.
func stop(ctx context.Context, on role.Target) error {
	_, err := jig.Run(ctx, on.Conn, jig.Script(`
PATH=/usr/sbin:/usr/bin:/sbin:/bin
pid=$(cat "$1/squid.pid" 2>/dev/null) || exit 0
ours() { tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -qF -- "$2"; }
ours "$@" || { rm -f "$1/squid.pid"; exit 0; }
parent=$(awk '$1 == "PPid:" { print $2 }' "/proc/$pid/status")
kill "$pid"
end=$(($(date +%s) + 15))
while ours "$@"; do
	[ "$(date +%s)" -lt "$end" ] || kill -9 "$pid"
	sleep 0.1
done
pid=$parent
[ "$parent" -gt 1 ] && ours "$@" && kill "$parent"
rm -f "$1/squid.pid" "$1/started"
exit 0
`, runDir, confFile))
	if err != nil {
		return fmt.Errorf("stop squid on node %s: %w", on.Node, err)
	}
	return nil
}

// answers asks the proxy to connect to itself, and then speaks through that tunnel: two answers that only a working
// proxy gives, with nobody else needed for them.
func answers(ctx context.Context, on role.Target, c config) error {
	err := role.Await(ctx, "squid to answer at "+c.addr(), 30*time.Second, func(ctx context.Context) (bool, error) {
		err := tunnel(ctx, on.Conn, c.addr())
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("node %s: %w: see %s/cache.log there", on.Node, err, logDir)
	}
	return nil
}

func tunnel(ctx context.Context, conn jig.Conn, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := conn.Dial(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	r := bufio.NewReader(c)
	if _, err := fmt.Fprintf(c, "CONNECT %[1]s HTTP/1.1\r\nHost: %[1]s\r\n\r\n", addr); err != nil {
		return err
	}
	resp, err := http.ReadResponse(r, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s to a CONNECT that it should allow: another program may hold the port", resp.Status)
	}
	if _, err := fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", addr); err != nil {
		return err
	}
	resp, err = http.ReadResponse(r, nil)
	if err != nil {
		return fmt.Errorf("through the tunnel: %w", err)
	}
	resp.Body.Close()
	if server := resp.Header.Get("Server"); !strings.HasPrefix(server, "squid") {
		return fmt.Errorf("through the tunnel answers %q, and not squid", server)
	}
	return nil
}
