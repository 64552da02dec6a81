//go:build robustness

package three

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
)

// memberConf is what a member process is told.
type memberConf struct{ Name, Dir, Address, Cluster, CA, Cert, Key string }

// member is an etcd with etcd's own limits, over mTLS, until it is killed.
func member(text string) error {
	var c memberConf
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	cfg := embed.NewConfig()
	cfg.Name, cfg.Dir, cfg.LogLevel = c.Name, c.Dir, "error"
	client, peer := url.URL{Scheme: "https", Host: c.Address + ":2379"}, url.URL{Scheme: "https", Host: c.Address + ":2380"}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster, cfg.InitialClusterToken = c.Cluster, "robustness"
	cfg.ClientTLSInfo = transport.TLSInfo{CertFile: c.Cert, KeyFile: c.Key, TrustedCAFile: c.CA, ClientCertAuth: true}
	cfg.PeerTLSInfo = cfg.ClientTLSInfo
	if _, err := os.Stat(filepath.Join(c.Dir, "member")); err == nil {
		cfg.ClusterState = embed.ClusterStateFlagExisting
	}
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	return <-e.Err()
}

// cluster is three members.
type cluster struct {
	ca, cert, key string // a client's
	members       []*process
}

func startCluster(t *testing.T, dir string) *cluster {
	t.Helper()
	authority, err := pki.HostAuthority(dir)
	must(t, err)
	c := &cluster{ca: filepath.Join(dir, "ca.crt")}
	c.cert, c.key, err = authority.Keep(dir, "client", crowbar.Leaf{CommonName: "kubeclampd", Usages: []string{"client"}})
	must(t, err)
	var names []string
	for i := range 3 {
		names = append(names, fmt.Sprintf("m%d=https://%s1%d:2380", i, db, i))
	}
	for i := range 3 {
		name := fmt.Sprintf("m%d", i)
		conf := memberConf{Name: name, Dir: filepath.Join(dir, name), Address: fmt.Sprintf("%s1%d", db, i), Cluster: strings.Join(names, ","), CA: c.ca}
		conf.Cert, conf.Key, err = authority.Keep(dir, name, crowbar.Leaf{CommonName: name, IP: []string{conf.Address}, Usages: []string{"server", "client"}})
		must(t, err)
		text, err := json.Marshal(conf)
		must(t, err)
		p := &process{t: t, name: name, place: newPlace(t, name, fmt.Sprintf("1%d", i), "db"), argv: []string{"/proc/self/exe"}, env: "ROBUSTNESS_ETCD=" + string(text), log: filepath.Join(dir, name+".log")}
		self, err := os.Executable()
		must(t, err)
		p.argv[0] = self
		p.start()
		c.members = append(c.members, p)
	}
	return c
}

// healthy says whether every member answers for itself, and has caught up with its leader.
func (c *cluster) healthy(ctx context.Context, client *clientv3.Client) bool {
	for _, e := range c.endpoints() {
		limited, cancel := context.WithTimeout(ctx, time.Second)
		st, err := client.Status(limited, e)
		cancel()
		if err != nil || st.Leader == 0 || st.RaftIndex-st.RaftAppliedIndex > 1000 {
			return false
		}
	}
	return true
}

// member is the one that leads, or the first that follows.
func (c *cluster) member(t *testing.T, client *clientv3.Client, which string) *process {
	t.Helper()
	for i, e := range c.endpoints() {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		st, err := client.Status(ctx, e)
		cancel()
		must(t, err)
		if (st.Leader == st.Header.MemberId) == (which == "leader") {
			return c.members[i]
		}
	}
	t.Fatalf("etcd has no %s", which)
	return nil
}

func (c *cluster) endpoints() []string {
	var out []string
	for i := range c.members {
		out = append(out, fmt.Sprintf("https://%s1%d:2379", db, i))
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
