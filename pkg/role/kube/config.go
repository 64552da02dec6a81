package kube

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
)

// Config says how a program reaches the API: the content of a kubeconfig file.
type Config struct {
	Cluster string // its name
	User    string
	Server  string // "https://127.0.0.1:6443"
	Name    string // the name that the server's certificate must have; "" = the host in Server
	// Either paths on the node, or PEM to embed.
	CAFile, CertFile, KeyFile string
	Embed                     Leaf
}

// String is the file.
func (c Config) String() string {
	ca, cert, key := "certificate-authority: "+quote(c.CAFile), "client-certificate: "+quote(c.CertFile), "client-key: "+quote(c.KeyFile)
	if c.Embed.Complete() {
		ca = "certificate-authority-data: " + data(c.Embed.CA)
		cert, key = "client-certificate-data: "+data(c.Embed.Cert), "client-key-data: "+data(c.Embed.Key)
	}
	name := ""
	if c.Name != "" {
		name = "\n    tls-server-name: " + quote(c.Name)
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: %[1]s
  cluster:
    server: %[3]s%[4]s
    %[5]s
users:
- name: %[2]s
  user:
    %[6]s
    %[7]s
contexts:
- name: %[8]s
  context:
    cluster: %[1]s
    user: %[2]s
current-context: %[8]s
`, quote(c.Cluster), quote(c.User), quote(c.Server), name, ca, cert, key, quote(c.User+"@"+c.Cluster))
}

func data(pem string) string { return base64.StdEncoding.EncodeToString([]byte(pem)) }

// quote is a string as JSON, which YAML reads as well.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // a string always marshals
	}
	return string(b)
}
