package ui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed assets pages
var files embed.FS

// AssetPath is below what the pages' style and scripts are; nobody has to sign in for them.
const AssetPath = "/assets/"

// asset is one file that a browser loads, packed once.
type asset struct {
	kind   string
	mark   string // of its content
	plain  []byte
	packed []byte
}

type assets map[string]asset

// openAssets reads the files that were built in; they are whole, or the program would not have been built.
func openAssets() assets {
	out := assets{}
	all, _ := files.ReadDir("assets")
	for _, f := range all {
		b, _ := files.ReadFile("assets/" + f.Name())
		sum := sha256.Sum256(b)
		out[f.Name()] = asset{mime.TypeByExtension(path.Ext(f.Name())), base64.RawURLEncoding.EncodeToString(sum[:9]), b, pack(b)}
	}
	return out
}

// at is the address of an asset; another content has another one, so that browsers keep what they have.
func (a assets) at(name string) string { return AssetPath + name + "?" + a[name].mark }

func pack(b []byte) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // the level is one
	_, _ = z.Write(b)                                       // a buffer takes everything
	_ = z.Close()
	return out.Bytes()
}

// Asset answers a request for one of the files.
func (u *UI) Asset(w http.ResponseWriter, r *http.Request) {
	if name, is := strings.CutPrefix(r.URL.Path, docsImages); is {
		u.picture(w, r, name)
		return
	}
	a, ok := u.assets[strings.TrimPrefix(r.URL.Path, AssetPath)]
	if !ok {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Etag", `"`+a.mark+`"`)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache")
	if r.URL.RawQuery == a.mark {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if r.Header.Get("If-None-Match") == h.Get("Etag") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	b := a.plain
	if zips(r) {
		h.Set("Content-Encoding", "gzip")
		b = a.packed
	}
	_, _ = w.Write(b) // the caller went away
}

// picture answers for one of the documentation.
func (u *UI) picture(w http.ResponseWriter, r *http.Request, name string) {
	b := docsImage(name)
	if b == nil {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'") // a drawing that is opened by itself has its own style, and runs nothing
	h.Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(b) // the caller went away
}

// zips says that the caller takes gzip.
func zips(r *http.Request) bool { return strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") }
