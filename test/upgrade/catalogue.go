package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
)

// broken is every program of the version that does not work.
const broken = "#!/bin/sh\necho 'this version is broken on purpose' >&2\nexit 1\n"

// catalogue makes a site's own catalogue with a version of Kubernetes that does not work, serves it, and has the daemon that is
// started next use it.
func catalogue(file string) (end func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(broken)) })}
	go func() { _ = srv.Serve(l) }()
	sum := sha256.Sum256([]byte(broken))
	fetch := map[string]any{}
	for _, arch := range []string{"amd64", "arm64"} {
		fetch[arch] = map[string]any{"url": "http://" + l.Addr().String() + "/", "sha256": hex.EncodeToString(sum[:])}
	}
	var files []any
	for _, name := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"} {
		files = append(files, map[string]any{"name": name, "fetch": fetch})
	}
	b, err := json.MarshalIndent(map[string]any{"components": []any{map[string]any{
		"component": "kubernetes", "version": badKube, "on_demand": true, "cpu_seconds": 1, "files": files}}}, "", "  ")
	if err == nil {
		err = os.WriteFile(file, b, 0o644)
	}
	if err == nil {
		file, err = filepath.Abs(file)
	}
	if err == nil {
		err = os.Setenv("KUBECLAMP_CATALOGUE", file)
	}
	return func() { srv.Close(); os.Remove(file) }, err
}
