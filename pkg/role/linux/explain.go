package linux

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
)

// lastWords prints the end of the journal of each unit that does not run, or did not run on from its first start; of one
// alone in any case.
const lastWords = `for u; do
	[ -e "/etc/systemd/system/$u" ] || continue
	[ $# -gt 1 ] && systemctl is-active --quiet "$u" && [ "$(systemctl show -p NRestarts --value "$u")" = 0 ] && continue
	echo "$u is $(systemctl is-active "$u"); its last words:"
	journalctl --no-pager -q -n 5 -o cat -u "$u"
done`

// lastQuestion is how long a node may take to answer what goes into an error.
const lastQuestion = 10 * time.Second

// Explain adds to an error what the units that may be its cause last said. It works for a context that has ended, too.
func Explain(ctx context.Context, on jig.Conn, err error, units ...string) error {
	if err == nil {
		return nil
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), lastQuestion)
	defer stop()
	out, bad := jig.Run(ctx, on, jig.Look(lastWords, units...))
	if said := strings.TrimSpace(out); bad == nil && said != "" {
		return fmt.Errorf("%w\n%s", err, said)
	}
	return err
}
