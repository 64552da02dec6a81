package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// tiny is a catalogue of one program without any module, and an image of it.
const tiny = `{"components": [
	{"component": "tiny", "version": "v1", "cpu_seconds": 1, "files": [{"name": "hello"}],
	 "build": {"family": "tiny", "ldflags": "-s -w -X main.word=stamped", "steps": [{"out": "hello", "packages": ["."]}]}},
	{"component": "images", "version": "1", "files": [{"name": "hello"}],
	 "image": {"tag": "example.internal/hello:1", "from": "tiny/hello", "path": "/hello", "user": "1:1"}}]}`

func tinyFiles() fs.FS {
	return fstest.MapFS{
		"tiny/gomod":             {Data: []byte("module tiny\n\ngo 1.26.0\n")},
		"tiny/gosum":             {},
		"tiny/files/main.go.txt": {Data: []byte("package main\n\nvar word = \"bare\"\n\nfunc main() { print(word) }\n")},
	}
}

func parse(t *testing.T, text string) *Catalogue {
	t.Helper()
	c, err := Parse("test.json", []byte(text), tinyFiles())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, c Config) *Cache {
	t.Helper()
	if c.CacheDir == "" {
		c.CacheDir = t.TempDir()
	}
	if c.Catalogue == nil {
		c.Catalogue = parse(t, tiny)
	}
	a, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// script is a stand-in for the go command.
func script(t *testing.T, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "go")
	head := "#!/bin/sh\nwhile [ $# -gt 1 ]; do [ \"$1\" = -o ] && out=$2; shift; done\n"
	if err := os.WriteFile(path, []byte(head+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// leftovers is every file of the cache that is not a log or a lock.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(p, logDir) && !strings.Contains(p, lockDir) {
			out = append(out, p)
		}
		return nil
	})
	return out
}

func sumOf(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

func TestBuildAndImage(t *testing.T) {
	a := open(t, Config{})
	var events []Event
	if err := a.Ensure(context.Background(), "", func(e Event) { events = append(events, e) }); err != nil {
		t.Fatal(err)
	}
	if n := len(events); n < 4 || events[n-1].Phase != Ready || events[n-1].Done != 2 || events[n-1].Total != 2 {
		t.Errorf("events: %+v", events)
	}
	r, art, err := a.Open(context.Background(), "tiny/hello", "")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, _ := io.ReadAll(r)
	if sumOf(b) != art.SHA256 || int64(len(b)) != art.Size || art.Version != "v1" || art.Name != "tiny/hello" {
		t.Errorf("artifact %+v, %d bytes", art, len(b))
	}
	path, _ := a.Path(context.Background(), "tiny/hello", "")
	if out, err := exec.Command(path).CombinedOutput(); err != nil || string(out) != "stamped" {
		t.Errorf("the program says %q, %v", out, err)
	}
	if !strings.Contains(path, "/tiny/v1-") || !strings.HasSuffix(path, "/"+runtime.GOARCH+"/hello") {
		t.Errorf("path %s", path)
	}
	events = nil
	if err := a.Ensure(context.Background(), "", func(e Event) { events = append(events, e) }); err != nil || len(events) != 0 {
		t.Errorf("a second time: %d events, %v", len(events), err)
	}
}

func TestImageIsDeterministicAndWhole(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "x")
	os.WriteFile(bin, []byte("binary"), 0o755)
	spec := &Image{Tag: "example.internal/x:2", Path: "/x", User: "5:6"}
	var one, two bytes.Buffer
	if err := errors.Join(pack(&one, spec, "arm64", bin), pack(&two, spec, "arm64", bin)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two packs differ")
	}
	files := map[string]string{}
	for r := tar.NewReader(&one); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		b, _ := io.ReadAll(r)
		files[h.Name] = string(b)
		if sum, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok && sum != "" && sumOf(b) != sum {
			t.Errorf("%s does not hold what its name says", h.Name)
		}
	}
	for name, want := range map[string]string{"oci-layout": "1.0.0", "index.json": `"io.containerd.image.name":"example.internal/x:2"`, "manifest.json": `"RepoTags":["example.internal/x:2"]`} {
		if !strings.Contains(files[name], want) {
			t.Errorf("%s: no %s in %s", name, want, files[name])
		}
	}
	if !strings.Contains(files["index.json"], "arm64") {
		t.Error("no architecture")
	}
}

// mirror puts a file and its checksum where a mirror has them.
func mirror(t *testing.T, content, sum string) string {
	t.Helper()
	dir := t.TempDir()
	at := filepath.Join(dir, "tiny", "v1", runtime.GOARCH)
	os.MkdirAll(at, 0o755)
	os.WriteFile(filepath.Join(at, "hello"), []byte(content), 0o755)
	if sum != "" {
		os.WriteFile(filepath.Join(at, "hello.sha256"), []byte(sum+"  hello\n"), 0o644)
	}
	return dir
}

func TestMirrorComesFirst(t *testing.T) {
	a := open(t, Config{MirrorDir: mirror(t, "from the mirror", sumOf([]byte("from the mirror"))), Go: "/nonexistent/go"})
	art, err := a.Stat(context.Background(), "tiny/hello", "")
	if err != nil || art.SHA256 != sumOf([]byte("from the mirror")) {
		t.Error(art, err)
	}
}

func TestExportIsAMirror(t *testing.T) {
	dir := t.TempDir()
	from := open(t, Config{})
	for range 2 {
		if err := from.Export(context.Background(), dir, "", nil); err != nil {
			t.Fatal(err)
		}
	}
	to := open(t, Config{MirrorDir: dir, Go: "/nonexistent/go"})
	for _, name := range []string{"tiny/hello", "images/hello"} {
		want, _ := from.Stat(context.Background(), name, "")
		if got, err := to.Stat(context.Background(), name, ""); err != nil || got != want {
			t.Errorf("%s: %+v, want %+v: %v", name, got, want, err)
		}
	}
}

func TestMirrorFaults(t *testing.T) {
	tests := []struct{ name, sum, want string }{
		{"wrong checksum", sumOf([]byte("other")), "wrong checksum of "},
		{"no checksum", "", "run sha256sum hello"},
		{"rubbish", "abc", "64 hex digits"},
	}
	for _, tt := range tests {
		a := open(t, Config{MirrorDir: mirror(t, "content", tt.sum)})
		_, err := a.Stat(context.Background(), "tiny/hello", "")
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if left := leftovers(t, a.CacheDir); len(left) != 0 {
			t.Errorf("%s: left %v", tt.name, left)
		}
	}
}

// upstream is a catalogue whose file comes from a server.
func upstream(t *testing.T, url, sum, member string) *Catalogue {
	return parse(t, fmt.Sprintf(`{"components": [{"component": "tiny", "version": "v1", "files": [{"name": "hello", "fetch":
		{%q: {"url": %q, "sha256": %q, "member": %q}}}]}]}`, runtime.GOARCH, url, sum, member))
}

func TestUpstream(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	add(w, "./tiny-v1/bin/hello", 0o755, []byte("unpacked"))
	w.Close()
	z.Close()
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/"+runtime.GOARCH+"/hello", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "plain") })
	mux.HandleFunc("/v1.tar.gz", func(w http.ResponseWriter, _ *http.Request) { w.Write(packed.Bytes()) })
	srv := httptest.NewServer(mux)
	defer srv.Close()
	tests := []struct{ name, url, sum, member, content, want string }{
		{"plain", "/{version}/{arch}/hello", sumOf([]byte("plain")), "", "plain", ""},
		{"archive", "/{version}.tar.gz", sumOf(packed.Bytes()), "tiny-{version}/bin/hello", "unpacked", ""},
		{"no such member", "/{version}.tar.gz", sumOf(packed.Bytes()), "hello", "", "correct member"},
		{"wrong checksum", "/{version}/{arch}/hello", sumOf([]byte("else")), "", "", "expected sha256 " + sumOf([]byte("else")) + ", got " + sumOf([]byte("plain"))},
		{"missing", "/nothing", sumOf(nil), "", "", "404"},
	}
	for _, tt := range tests {
		a := open(t, Config{Catalogue: upstream(t, srv.URL+tt.url, tt.sum, tt.member)})
		art, err := a.Stat(context.Background(), "tiny/hello", "")
		if tt.want == "" {
			if err != nil || art.SHA256 != sumOf([]byte(tt.content)) {
				t.Errorf("%s: %v %v", tt.name, art, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), srv.URL) && tt.member == "" {
			t.Errorf("%s: %v", tt.name, err)
		}
		if left := leftovers(t, a.CacheDir); len(left) != 0 {
			t.Errorf("%s: left %v", tt.name, left)
		}
	}
	srv.Close()
	a := open(t, Config{Catalogue: upstream(t, srv.URL, sumOf(nil), "")})
	if _, err := a.Stat(context.Background(), "tiny/hello", ""); crowbar.KindOf(err) != crowbar.Unavailable {
		t.Errorf("no server: %v", err)
	}
}

func TestChangedInTheCache(t *testing.T) {
	a := open(t, Config{Go: script(t, `printf built > "$out"`)})
	path, err := a.Path(context.Background(), "tiny/hello", "")
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(path, []byte("spoilt"), 0o755)
	if _, _, err := a.Open(context.Background(), "tiny/hello", ""); err == nil || !strings.Contains(err.Error(), "wrong checksum of "+path) {
		t.Error(err)
	}
	r, art, err := a.Open(context.Background(), "tiny/hello", "")
	if err != nil || art.SHA256 != sumOf([]byte("built")) {
		t.Fatal("not made anew", err)
	}
	r.Close()
}

func TestManyAtOnceBuildOnce(t *testing.T) {
	dir, count := t.TempDir(), filepath.Join(t.TempDir(), "count")
	fake := script(t, `echo x >> `+count+`; printf built > "$out"`)
	var all sync.WaitGroup
	for range 8 {
		a := open(t, Config{CacheDir: dir, Go: fake}) // as other processes: locks are by open file
		all.Go(func() {
			if err := a.Ensure(context.Background(), "", nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if b, _ := os.ReadFile(count); string(b) != "x\n" {
		t.Errorf("built %d times", len(b)/2)
	}
}

func TestOneHeavyBuildAtATime(t *testing.T) {
	busy := filepath.Join(t.TempDir(), "busy")
	fake := script(t, `mkdir `+busy+` || exit 1; echo go; printf built > "$out"; rmdir `+busy)
	two := `{"components": [
		{"component": "a", "version": "v1", "files": [{"name": "f"}], "build": {"family": "tiny", "steps": [{"out": "f", "packages": ["."]}]}},
		{"component": "b", "version": "v1", "files": [{"name": "f"}], "build": {"family": "tiny", "steps": [{"out": "f", "packages": ["."]}]}}]}`
	dir := t.TempDir()
	var all sync.WaitGroup
	for _, name := range []string{"a", "b", "a", "b"} {
		a := open(t, Config{CacheDir: dir, Go: fake, Catalogue: parse(t, two)})
		all.Go(func() {
			if err := a.Ensure(context.Background(), "", nil, name); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestKilledBuildLeavesNothing(t *testing.T) {
	started := filepath.Join(t.TempDir(), "pid")
	a := open(t, Config{Go: script(t, `printf half > "$out"; echo $$ > `+started+`.new; mv `+started+`.new `+started+`; while :; do sleep 1000; done`)})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(started); err == nil {
				cancel()
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	if err := a.Ensure(ctx, "", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if left := leftovers(t, a.CacheDir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	b, err := os.ReadFile(started)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/proc/" + strings.TrimSpace(string(b))); err == nil {
		t.Error("the build still runs")
	}
}

func TestWhatADeadProcessLeftIsSwept(t *testing.T) {
	a := open(t, Config{})
	live, done, err := a.scratch()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	dead := filepath.Join(a.CacheDir, tmpDir, "dead")
	os.MkdirAll(filepath.Join(dead, "out"), 0o755)
	os.WriteFile(dead+".lock", nil, 0o644)
	open(t, Config{CacheDir: a.CacheDir})
	if _, err := os.Stat(dead); err == nil {
		t.Error("the dead one's folder is still there")
	}
	if _, err := os.Stat(live); err != nil {
		t.Error("a living one's folder was swept away")
	}
}

func TestBuildFaults(t *testing.T) {
	a := open(t, Config{Go: script(t, `echo "main.go:1:1: no such thing"; exit 2`)})
	err := a.Ensure(context.Background(), "", nil)
	if err == nil || !strings.Contains(err.Error(), "no such thing") || !strings.Contains(err.Error(), "artifact tiny v1") {
		t.Errorf("failing build: %v", err)
	}
	if left := leftovers(t, a.CacheDir); len(left) != 0 {
		t.Errorf("left %v", left)
	}
	a = open(t, Config{Go: script(t, `exit 0`)})
	if err := a.Ensure(context.Background(), "", nil); err == nil || !strings.Contains(err.Error(), `no file "hello"`) {
		t.Errorf("build without a file: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := open(t, Config{}).Ensure(context.Background(), "", nil); err == nil || !strings.Contains(err.Error(), "install Go") {
		t.Errorf("no go: %v", err)
	}
	cat := parse(t, strings.Replace(tiny, `"family"`, `"cgo": ["amd64", "arm64"], "family"`, 1))
	for arch, want := range map[string]string{"amd64": "x86-64", "arm64": "aarch64"} {
		if arch == runtime.GOARCH {
			want = "gcc libc6-dev"
		}
		err := open(t, Config{Go: "/bin/true", Catalogue: cat}).Ensure(context.Background(), arch, nil)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "apt-get install") {
			t.Errorf("no C compiler for %s: %v", arch, err)
		}
	}
	t.Setenv("CC", "/bin/true")
	cat.Components[0].Build.Libraries = map[string]string{"libnothing": "libnothing-dev"}
	if err := open(t, Config{Go: "/bin/true", Catalogue: cat}).Ensure(context.Background(), "", nil); err == nil || !strings.Contains(err.Error(), "apt-get install pkg-config libnothing-dev") {
		t.Errorf("no C library: %v", err)
	}
}

func TestOwnProgram(t *testing.T) {
	cat := parse(t, `{"components": [{"component": "kubeclamp", "version": "1.0", "files": [{"name": "kubeclamp-node"}], "own": "./cmd/kubeclamp-node"}]}`)
	pre, src := t.TempDir(), t.TempDir()
	program, err := open(t, Config{}).Path(context.Background(), "tiny/hello", "")
	if err != nil {
		t.Fatal(err)
	}
	static, _ := os.ReadFile(program)
	os.WriteFile(filepath.Join(pre, "kubeclamp-node"), static, 0o755)
	art, err := open(t, Config{Catalogue: cat, Prebuilt: pre}).Stat(context.Background(), "kubeclamp/kubeclamp-node", "")
	if err != nil || art.SHA256 != sumOf(static) {
		t.Errorf("prebuilt: %v %v", art, err)
	}
	shell, _ := os.ReadFile("/bin/sh")
	for want, content := range map[string][]byte{"C library": shell, "no Linux program": []byte("text")} {
		os.WriteFile(filepath.Join(pre, "kubeclamp-node"), content, 0o755)
		if _, err := open(t, Config{Catalogue: cat, Prebuilt: pre}).Stat(context.Background(), "kubeclamp/kubeclamp-node", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("prebuilt with %s: %v", want, err)
		}
	}
	for name, text := range map[string]string{"go.mod": "module " + modulePath + "\n\ngo 1.26.0\n", "go.sum": "", "pkg/x/x.go": "package x\n", "cmd/kubeclamp-node/main.go": "package main\n\nfunc main() {}\n"} {
		os.MkdirAll(filepath.Dir(filepath.Join(src, name)), 0o755)
		os.WriteFile(filepath.Join(src, name), []byte(text), 0o644)
	}
	c := Config{Catalogue: cat, Prebuilt: t.TempDir(), SourceDir: src, CacheDir: t.TempDir()}
	one, err := open(t, c).Path(context.Background(), "kubeclamp/kubeclamp-node", "")
	if err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(src, "pkg/x/x.go"), []byte("package x // changed\n"), 0o644)
	two, err := open(t, c).Path(context.Background(), "kubeclamp/kubeclamp-node", "")
	if err != nil || one == two {
		t.Error("a changed source gives the same file", err)
	}
	c.SourceDir = t.TempDir()
	if _, err := open(t, c).Stat(context.Background(), "kubeclamp/kubeclamp-node", ""); err == nil || !strings.Contains(err.Error(), "run from a clone") {
		t.Errorf("no source: %v", err)
	}
}

func TestCatalogueFaults(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no checksum", `{"components": [{"component": "a", "version": "1", "files": [{"name": "f", "fetch": {"amd64": {"url": "http://x"}}}]}]}`, "sha256 (64 hex digits)"},
		{"no way", `{"components": [{"component": "a", "version": "1", "files": [{"name": "f"}]}]}`, "one of build, own, image"},
		{"twice", `{"components": [{"component": "a", "version": "1", "own": "./x", "files": [{"name": "f"}, {"name": "f"}]}]}`, "there twice"},
		{"path", `{"components": [{"component": "../a", "version": "1", "own": "./x", "files": [{"name": "f"}]}]}`, "without slashes"},
		{"image before its binary", `{"components": [{"component": "a", "version": "1", "files": [{"name": "f"}], "image": {"from": "b/f", "tag": "t", "path": "/f", "user": "1:1"}}]}`, "must come earlier"},
		{"unknown key", `{"parts": []}`, "unknown field"},
	}
	for _, tt := range tests {
		if _, err := Parse("site.json", []byte(tt.text), tinyFiles()); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "site.json") {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	a := open(t, Config{})
	if _, err := a.Stat(context.Background(), "tiny/nothing", ""); crowbar.KindOf(err) != crowbar.NotFound || !strings.Contains(err.Error(), "tiny/hello") {
		t.Errorf("unknown artifact: %v", err)
	}
	if err := a.Ensure(context.Background(), "", nil, "nobody"); err == nil {
		t.Error("unknown component taken")
	}
}

func TestBuiltinCatalogue(t *testing.T) {
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"etcd/etcd", "etcd/etcdctl", "containerd/containerd-shim-runc-v2", "runc/runc", "moby/dockerd", "moby/docker-proxy", "dockercli/docker",
		"flannel/flanneld", "cni/portmap", "kubernetes/kubelet", "coredns/coredns", "kubeclamp/kubeclamp-node", "images/pause", "images/coredns", "images/testserver"} {
		if _, _, err := c.file(want); err != nil {
			t.Error(err)
		}
	}
	for _, x := range c.Components {
		if x.Build == nil {
			continue
		}
		for _, f := range []string{"gomod", "gosum"} {
			if _, err := fs.Stat(c.files, x.Build.Family+"/"+f); err != nil {
				t.Errorf("%s: %v", x.Name, err)
			}
		}
	}
	site, err := c.With("site.json", []byte(`{"components": [{"component": "runc", "version": "v9", "files": [{"name": "runc", "fetch": {"amd64": {"url": "http://x", "sha256": "`+sumOf(nil)+`"}}}]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if x, _, _ := site.file("runc/runc"); x.Version != "v9" || len(site.Components) != len(c.Components) {
		t.Error("the site's own runc is not taken")
	}
	picked, err := c.pick([]string{"images/coredns"})
	if err != nil || len(picked) != 2 || picked[0].Name != "coredns" {
		t.Errorf("an image comes with what it is made from: %v %v", picked, err)
	}
}

func TestVersions(t *testing.T) {
	c, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	entry := func(version, more string) string {
		return `{"component": "etcd", "version": "` + version + `"` + more + `, "files": [{"name": "etcd", "fetch": {"amd64": {"url": "http://x", "sha256": "` + sumOf(nil) + `"}}},
			{"name": "etcdctl", "fetch": {"amd64": {"url": "http://x", "sha256": "` + sumOf(nil) + `"}}}, {"name": "etcdutl", "fetch": {"amd64": {"url": "http://x", "sha256": "` + sumOf(nil) + `"}}}]}`
	}
	site, err := c.With("site.json", []byte(`{"components": [`+entry("v9", `, "on_demand": true`)+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	own, err := c.With("site.json", []byte(`{"components": [`+entry("v8", "")+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		in         *Catalogue
		name, want string // version, or part of the error
	}{
		{c, "etcd/etcd", "v3.7.3"},
		{c, "etcd/etcd@v3.7.3", "v3.7.3"},
		{c, "etcd/etcdctl@v3.6.16", "v3.6.16"},
		{c, "etcd/etcd@v9", "version v9 of etcd/etcd is not in the catalogue, which has v3.7.3 (the default), v3.6.16: choose one"},
		{site, "etcd/etcd@v9", "v9"},
		{site, "etcd/etcd", "v3.7.3"},
		{own, "etcd/etcd", "v8"},
		{own, "etcd/etcd@v3.6.16", "v3.6.16"},
		{own, "etcd/etcd@v3.7.3", "which has v8 (the default), v3.6.16"},
	} {
		got, _, err := x.in.file(x.name)
		if err == nil && got.Version != x.want || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, %v; want %s", x.name, got, err, x.want)
		}
	}
	for name, want := range map[string]int{"etcd": 1, "etcd@v3.6.16": 1, "etcd@v9": 0} {
		if picked, err := c.pick([]string{name}); len(picked) != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %d components, %v", name, len(picked), err)
		}
	}
	all, _ := c.pick(nil)
	for _, x := range all {
		if x.OnDemand {
			t.Errorf("%s %s is made without being asked for", x.Name, x.Version)
		}
	}
	if v, err := site.Versions("etcd"); err != nil || strings.Join(v, " ") != "v3.7.3 v3.6.16 v9" {
		t.Errorf("versions: %v, %v", v, err)
	}
}

func TestProgressLines(t *testing.T) {
	var plain, term bytes.Buffer
	p, q := Progress(&plain, false), Progress(&term, true)
	for i := range 70 {
		e := Event{Component: "etcd", Version: "v1", Phase: Building, Total: 2, Elapsed: time.Duration(i) * time.Second, Spent: time.Duration(i) * time.Second, Left: time.Duration(100-i) * time.Second}
		p(e)
		q(e)
	}
	p(Event{Component: "etcd", Version: "v1", Phase: Ready, Done: 1, Total: 2, Elapsed: 70 * time.Second})
	q(Event{Component: "etcd", Version: "v1", Phase: Ready, Done: 1, Total: 2, Elapsed: 70 * time.Second})
	if n := strings.Count(plain.String(), "\n"); n != 4 || !strings.HasSuffix(plain.String(), "[1/2] etcd v1 ready after 1 min 10 s\n") {
		t.Errorf("%d lines:\n%s", n, plain.String())
	}
	if strings.Count(term.String(), "\n") != 1 || !strings.Contains(term.String(), "[=============       ]") {
		t.Errorf("terminal:\n%q", term.String())
	}
}
