package artifact

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// imageFormat grows when the way images are packed changes, so that old ones are made anew.
const imageFormat = 1

// birth is the one time in an image: the same content gives the same bytes.
var birth = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// image packs one static binary as an OCI image layout in a tar, with the manifest.json that docker load reads as well.
func (a *Cache) image(ctx context.Context, j *job, tmp string) (map[string]string, error) {
	spec, name := j.c.Image, j.c.Files[0].Name
	binary, err := a.imageBinary(ctx, j, tmp)
	if err != nil {
		return nil, err
	}
	j.to(Packing)
	to := filepath.Join(tmp, name+".tar")
	f, err := os.Create(to)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := pack(f, spec, j.arch, binary); err != nil {
		return nil, err
	}
	return map[string]string{name: to}, f.Close()
}

// imageBinary is the path of the program that the image holds.
func (a *Cache) imageBinary(ctx context.Context, j *job, tmp string) (string, error) {
	spec := j.c.Image
	if spec.From != "" {
		c, f, err := a.cat.file(spec.From)
		if err != nil {
			return "", err
		}
		dir, err := a.dir(c, j.arch)
		if err != nil {
			return "", err
		}
		art, ok := read(c, f, dir)
		if !ok {
			return "", crowbar.Errorf(crowbar.NotFound, "%s for %s is not in the cache", spec.From, j.arch)
		}
		from := filepath.Join(dir, f.Name)
		return from, a.verify(from, art.SHA256)
	}
	mod, out := filepath.Join(tmp, "module"), filepath.Join(tmp, "out")
	if err := os.MkdirAll(mod, 0o755); err != nil {
		return "", err
	}
	source, err := fs.ReadFile(a.cat.files, path.Join("images", spec.Program, "main.go"))
	if err != nil {
		return "", err
	}
	for name, data := range map[string][]byte{"main.go": source, "go.mod": []byte("module kubeclamp.build/" + spec.Program + "\n\ngo 1.26.0\n")} {
		if err := os.WriteFile(filepath.Join(mod, name), data, 0o644); err != nil {
			return "", err
		}
	}
	name := j.c.Files[0].Name
	made, err := a.goBuilds(ctx, j, out, []goBuild{{dir: mod, out: out, file: name, tags: "netgo,osusergo", ldflags: "-s -w", packages: []string{"."}}})
	return made[name], err
}

// descriptor points to a blob.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    map[string]string `json:"platform,omitempty"`
}

// pack writes the image of one binary.
func pack(w io.Writer, spec *Image, arch, binary string) error {
	layer, diff, err := layerOf(spec.Path, binary)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"created": birth, "architecture": arch, "os": "linux",
		"config":  map[string]any{"Entrypoint": []string{spec.Path}, "User": spec.User, "WorkingDir": "/", "Env": []string{"PATH=/"}},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{diff}},
		"history": []any{map[string]any{"created": birth, "created_by": "kubeclamp", "comment": spec.Tag}},
	})
	if err != nil {
		return err
	}
	l := describe("application/vnd.oci.image.layer.v1.tar+gzip", layer)
	c := describe("application/vnd.oci.image.config.v1+json", config)
	manifest, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": c, "layers": []descriptor{l}})
	if err != nil {
		return err
	}
	m := describe("application/vnd.oci.image.manifest.v1+json", manifest)
	_, tag, _ := strings.Cut(path.Base(spec.Tag), ":")
	m.Annotations = map[string]string{"io.containerd.image.name": spec.Tag, "org.opencontainers.image.ref.name": tag}
	m.Platform = map[string]string{"architecture": arch, "os": "linux"}
	index, err := json.Marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []descriptor{m}})
	if err != nil {
		return err
	}
	docker, err := json.Marshal([]map[string]any{{"Config": blob(c), "RepoTags": []string{spec.Tag}, "Layers": []string{blob(l)}}})
	if err != nil {
		return err
	}
	t := tar.NewWriter(w)
	for _, d := range []string{"blobs/", "blobs/sha256/"} {
		if err := t.WriteHeader(&tar.Header{Name: d, Typeflag: tar.TypeDir, Mode: 0o755, ModTime: birth, Format: tar.FormatUSTAR}); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{"oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)}, {"index.json", index}, {"manifest.json", docker},
		{blob(m), manifest}, {blob(c), config}, {blob(l), layer}} {
		if err := add(t, f.name, 0o644, f.data); err != nil {
			return err
		}
	}
	return t.Close()
}

// layerOf is a compressed layer with the binary and the folders that every container wants, and the digest of its plain form.
func layerOf(at, binary string) (layer []byte, diff string, err error) {
	data, err := os.ReadFile(binary)
	if err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	h := sha256.New()
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(io.MultiWriter(z, h))
	for _, d := range []struct {
		name string
		mode int64
	}{{"etc/", 0o755}, {"tmp/", 0o1777}} {
		if err := t.WriteHeader(&tar.Header{Name: d.name, Typeflag: tar.TypeDir, Mode: d.mode, ModTime: birth, Format: tar.FormatUSTAR}); err != nil {
			return nil, "", err
		}
	}
	if err := add(t, strings.TrimPrefix(at, "/"), 0o755, data); err != nil {
		return nil, "", err
	}
	if err := t.Close(); err != nil {
		return nil, "", err
	}
	if err := z.Close(); err != nil {
		return nil, "", err
	}
	return out.Bytes(), "sha256:" + hex.EncodeToString(h.Sum(nil)), nil
}

func add(t *tar.Writer, name string, mode int64, data []byte) error {
	if err := t.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(data)), ModTime: birth, Format: tar.FormatUSTAR}); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}

func describe(media string, data []byte) descriptor {
	sum := sha256.Sum256(data)
	return descriptor{MediaType: media, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

// blob is a descriptor's path in the layout.
func blob(d descriptor) string { return "blobs/" + strings.Replace(d.Digest, ":", "/", 1) }
