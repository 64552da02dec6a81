package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"

	"github.com/kubeclamp/kubeclamp/pkg/api"
	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/client"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/engine"
	"github.com/kubeclamp/kubeclamp/pkg/pki"
	"github.com/kubeclamp/kubeclamp/pkg/store/storetest"
)

// daemon is a real engine and API with the shipped barclamp, in this process, and the file that its administrator has.
// Nothing anneals in it.
func daemon() (conf client.Config, stop func()) {
	p, err := pki.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile("../../barclamp.yaml")
	if err != nil {
		log.Fatal(err)
	}
	cat, err := barclamp.Parse(barclamp.File{Path: "barclamp.yaml", Data: text})
	if err != nil {
		log.Fatal(err)
	}
	state := storetest.NewMemory()
	e := engine.New(engine.Config{Store: state, PKI: p, Ring: p.Ring, Owner: "example", Mac: p.Ring.Mac})
	if err := e.Import(context.Background(), cat); err != nil {
		log.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(api.New(api.Config{Engine: e, Users: e, Moves: state, Auditing: e, Token: "secret", Log: slog.New(slog.DiscardHandler)}))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.StartTLS()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return client.Config{Endpoint: srv.URL, Token: "secret", CA: string(ca)}, srv.Close
}

// A cluster is declared as one document, and planned before anything is done.
func ExampleClient_Plan() {
	conf, stop := daemon()
	defer stop()
	c, err := client.New(conf) // a program reads it from its file, admin.json
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	doc := crowbar.Cluster{Deployment: "k8s", Nodes: []crowbar.ClusterNode{
		{Name: "m1", Address: "10.0.0.11", Roles: []string{"etcd", "k8s-master"}},
		{Name: "w1", Address: "10.0.0.21", Roles: []string{"docker"}},
	}}
	plan, err := c.Plan(ctx, crowbar.PlanFor{Document: &doc}, false)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(plan.Steps), "runs, which may change", len(plan.Touches), "nodes")
	if err := c.Apply(ctx, doc, false); err != nil {
		log.Fatal(err)
	}
	why, err := c.Why(ctx, "w1/docker")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(why[:len("blocked: waits for node-prep on w1")])
	// Output:
	// 9 runs, which may change 2 nodes
	// blocked: waits for node-prep on w1
}

// Nodes and roles are also made one by one, as OpenCrowbar's clients do; what is proposed waits for a commit.
func ExampleClient_Bind() {
	conf, stop := daemon()
	defer stop()
	c, err := client.New(conf)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	must(c.Create(ctx, crowbar.KindDeployment, map[string]string{"name": "k8s"}, nil))
	must(c.Create(ctx, crowbar.KindNode, map[string]string{"name": "m1", "address": "10.0.0.11", "deployment": "k8s"}, nil))
	nr, err := c.Bind(ctx, "etcd", "m1", "k8s")
	must(err)
	fmt.Println("etcd on m1 is", nr.State)
	must(c.SetAttrib(ctx, crowbar.KindDeployment, "k8s", "etcd-client-port", 2479))
	must(c.Do(ctx, crowbar.KindDeployment, "k8s", "commit", nil))
	s, err := c.Status(ctx, "k8s", 0)
	must(err)
	for _, nr := range s.NodeRoles {
		if nr.Node == "m1" {
			fmt.Println(nr.Role, nr.Name)
		}
	}
	// Output:
	// etcd on m1 is proposed
	// node-prep todo
	// proxy blocked
	// etcd blocked
}

// A list of any length is read piece by piece; each is one JSON object with the keys of the API.
func ExampleClient_Each() {
	conf, stop := daemon()
	defer stop()
	c, err := client.New(conf)
	if err != nil {
		log.Fatal(err)
	}
	roles := 0
	err = c.Each(context.Background(), crowbar.KindRole, client.Page{Filter: map[string]string{"jig_name": "noop"}}, func(some []json.RawMessage) error {
		roles += len(some)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(roles, "roles touch no node")
	// Output: 2 roles touch no node
}
