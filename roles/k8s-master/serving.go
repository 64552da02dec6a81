package k8smaster

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	"github.com/kubeclamp/kubeclamp/pkg/role/kube"
)

// administrator is a client of the API server on the node, with all rights.
func administrator(on role.Target, s settings) (*kube.Client, error) {
	leaf := s.Admin
	leaf.CA = s.CA
	return kube.New(on.Conn, leaf, "127.0.0.1", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
}

// awaitAll waits until the API server is ready and its two neighbours are healthy, each proven by the cluster's authority.
func awaitAll(ctx context.Context, on role.Target, s settings, api *kube.Client) error {
	err := role.Await(ctx, "/readyz of the API server on "+on.Node, 2*time.Minute, func(ctx context.Context) (bool, error) {
		err := api.Ready(ctx)
		return err == nil, err
	})
	if err != nil {
		return err
	}
	for unit, port := range map[string]string{manager: "10257", scheduler: "10259"} {
		probe, err := kube.New(on.Conn, kube.Leaf{CA: s.CA}, "127.0.0.1", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		defer probe.Close()
		err = role.Await(ctx, "/healthz of "+unit+" on "+on.Node, time.Minute, func(ctx context.Context) (bool, error) {
			err := probe.Do(ctx, http.MethodGet, "/healthz", nil, nil)
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// explain adds what the units last said to an error of theirs.
func explain(ctx context.Context, on role.Target, err error) error {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer stop()
	out, bad := jig.Run(ctx, on.Conn, jig.Script(`for u; do
	systemctl is-active --quiet "$u" && [ "$(systemctl show -p NRestarts --value "$u")" = 0 ] && continue
	[ -e "/etc/systemd/system/$u" ] || continue
	echo "$u is $(systemctl is-active "$u"); its last words:"
	journalctl --no-pager -q -n 5 -o cat -u "$u"
done`, apiserver, manager, scheduler))
	if said := strings.TrimSpace(out); bad == nil && said != "" {
		return fmt.Errorf("%w\n%s", err, said)
	}
	return err
}
