package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// bom says of what programs are made, as their build information has it: each program, its file's hash, and the modules that
// are linked into it. The same programs give the same text.
func (b *build) bom(pkg string, files []string) ([]byte, error) {
	doc := cdx.NewBOM()
	doc.Metadata = &cdx.Metadata{Timestamp: b.time.Format(time.RFC3339),
		Component: &cdx.Component{BOMRef: "package", Type: cdx.ComponentTypeApplication, Name: pkg, Version: b.version}}
	modules := map[string]cdx.Component{}
	var components []cdx.Component
	needs := []cdx.Dependency{{Ref: "package", Dependencies: &[]string{}}}
	all := sha256.New()
	for _, file := range files {
		info, err := buildinfo.ReadFile(file)
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		all.Write(sum[:])
		name := filepath.Base(file)
		components = append(components, cdx.Component{BOMRef: "program:" + name, Type: cdx.ComponentTypeApplication, Name: name, Version: info.Main.Version,
			PackageURL: "pkg:golang/" + info.Main.Path + "#cmd/" + name,
			Hashes:     &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}})
		refs := []string{}
		for _, m := range append([]*debug.Module{{Path: "stdlib", Version: strings.TrimPrefix(info.GoVersion, "go")}}, info.Deps...) {
			for m.Replace != nil {
				m = m.Replace
			}
			c := module(m)
			modules[c.BOMRef] = c
			refs = append(refs, c.BOMRef)
		}
		*needs[0].Dependencies = append(*needs[0].Dependencies, "program:"+name)
		needs = append(needs, cdx.Dependency{Ref: "program:" + name, Dependencies: &refs})
	}
	for _, c := range modules {
		components = append(components, c)
	}
	slices.SortStableFunc(components, func(a, b cdx.Component) int { return strings.Compare(a.BOMRef, b.BOMRef) })
	doc.Components, doc.Dependencies = &components, &needs
	doc.SerialNumber = serial(pkg, all.Sum(nil))
	var out bytes.Buffer
	err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).Encode(doc)
	return out.Bytes(), err
}

// module is one that is linked in. Its sum in go.sum is a hash of a tree, which CycloneDX has no name for.
func module(m *debug.Module) cdx.Component {
	url := "pkg:golang/" + strings.ToLower(m.Path) + "@" + m.Version
	c := cdx.Component{BOMRef: url, Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: url}
	if m.Sum != "" {
		c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
	}
	return c
}

// serial is a UUID (version 8) made of what the document is about.
func serial(pkg string, sum []byte) string {
	u := sha256.Sum256(append([]byte(pkg+"\x00"), sum...))
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
