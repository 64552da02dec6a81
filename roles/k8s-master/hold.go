package k8smaster

import (
	"context"
	"fmt"
	"strconv"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
)

// holdText stops the API server in its tracks, and has systemd let it go on, however what holds it ends: also where nobody is left
// who could release it. What is under way in etcd ends meanwhile, and clients see an answer that is late. $1 unit, $2 seconds.
const holdText = `systemctl is-active --quiet "$1" || exit 0
s=$(command -v systemctl)
exec systemd-run --quiet --collect --unit kubeclamp-hold --property "ExecStartPre=$s kill -s STOP $1" --property "ExecStopPost=$s kill -s CONT $1" sleep "$2"`

func hold(ctx context.Context, on role.Target) error {
	_, err := jig.Run(ctx, on.Conn, jig.Script(holdText, apiserver, strconv.FormatFloat(role.HoldLimit.Seconds(), 'f', -1, 64)))
	if err != nil {
		return fmt.Errorf("have the API server on %s wait: %w", on.Node, err)
	}
	return nil
}

func release(ctx context.Context, on role.Target) error {
	const text = `systemctl stop kubeclamp-hold.service 2>/dev/null; exit 0` // it may have ended by itself
	if _, err := jig.Run(ctx, on.Conn, jig.Script(text)); err != nil {
		return fmt.Errorf("have the API server on %s go on: %w", on.Node, err)
	}
	return nil
}
