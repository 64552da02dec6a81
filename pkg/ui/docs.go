package ui

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"github.com/kubeclamp/kubeclamp/docs"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// document is one page of the documentation.
type document struct {
	Name, Title, About string
	HTML               template.HTML
	Sections           []section
	words              string // in lower case, to search in
}

type section struct{ ID, Title string }

// docsImages is below what the pictures of the documentation are.
const docsImages = AssetPath + "docs/"

// library is all of them by name, made when the first is asked for.
var library = sync.OnceValue(func() map[string]document {
	out := map[string]document{}
	all, _ := fs.Glob(docs.Files, "*.md") // the pattern is right
	for _, file := range all {
		b, _ := docs.Files.ReadFile(file) // it is built in
		d := render(b)
		d.Name = strings.TrimSuffix(file, ".md")
		out[d.Name] = d
	}
	return out
})

// markdown leaves out raw HTML.
var markdown = goldmark.New(goldmark.WithExtensions(extension.Table), goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(homing{}, 100))))

var tables = regexp.MustCompile(`(?s)<table>(.*?)</table>`)

func render(b []byte) document {
	d := document{words: strings.ToLower(string(b))}
	tree := markdown.Parser().Parse(text.NewReader(b))
	for n := tree.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			id, _ := n.AttributeString("id")
			mark, _ := id.([]byte)
			if n.Level == 1 {
				d.Title = plainText(n, b)
			} else if n.Level == 2 {
				d.Sections = append(d.Sections, section{string(mark), plainText(n, b)})
			}
		case *ast.Paragraph:
			if d.About == "" {
				d.About = plainText(n, b)
			}
		}
	}
	var out bytes.Buffer
	_ = markdown.Renderer().Render(&out, b, tree) // a buffer takes everything
	i := 0
	d.HTML = template.HTML(tables.ReplaceAllStringFunc(out.String(), func(t string) string { // the daemon's own files, without raw HTML
		i++
		return fmt.Sprintf(`<div class="scroll" tabindex="0" role="region" aria-label="Table %d"><table class="rows">`, i) + strings.ReplaceAll(strings.TrimPrefix(t, "<table>"), "<th></th>", "<td></td>") + "</div>"
	}))
	return d
}

func plainText(n ast.Node, source []byte) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, in bool) (ast.WalkStatus, error) {
		if t, is := n.(*ast.Text); is && in {
			b.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

// homing has links lead to where the daemon shows what they lead to among the files.
type homing struct{}

// Transform changes the links of a page.
func (homing) Transform(tree *ast.Document, _ text.Reader, _ parser.Context) {
	_ = ast.Walk(tree, func(n ast.Node, in bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.Link:
			if in {
				n.Destination = []byte(homeOf(string(n.Destination)))
			}
		case *ast.Image:
			if in {
				n.Destination = []byte(docsImages + path.Base(string(n.Destination)))
			}
		}
		return ast.WalkContinue, nil
	})
}

func homeOf(at string) string {
	file, mark, marked := strings.Cut(at, "#")
	role, isRole := strings.CutPrefix(file, "../roles/")
	switch {
	case strings.Contains(file, "://") || file == "":
		return at
	case isRole:
		return "/roles/" + path.Dir(role)
	case !strings.Contains(file, "/") && strings.HasSuffix(file, ".md"):
		at = "/docs/" + strings.TrimSuffix(file, ".md")
		if marked {
			at += "#" + mark
		}
	}
	return at
}

// docsPage is a page of the documentation, or without one the list of all that have the words that were looked for.
type docsPage struct {
	Doc   *document // nil = the list
	Query string
	All   []document
}

func (u *UI) docsList(r *http.Request, _ *crowbar.Snapshot, _ Visitor) (page, error) {
	p := docsPage{Query: strings.TrimSpace(r.URL.Query().Get("q"))}
	want := strings.ToLower(p.Query)
	for _, d := range library() {
		if strings.Contains(d.words, want) {
			p.All = append(p.All, d)
		}
	}
	slices.SortFunc(p.All, func(a, b document) int { return strings.Compare(a.Title, b.Title) })
	return page{name: "docs", title: "Documentation", menu: "/docs", body: p}, nil
}

func (u *UI) doc(r *http.Request, _ *crowbar.Snapshot, _ Visitor) (page, error) {
	d, ok := library()[strings.TrimSuffix(r.PathValue("name"), ".md")]
	if !ok {
		return page{}, crowbar.Errorf(crowbar.NotFound, "There is no page %q in the documentation.", short(80, r.PathValue("name")))
	}
	return page{name: "docs", title: d.Title, menu: "/docs", body: docsPage{Doc: &d}}, nil
}

// docsImage is a picture of the documentation; nil where there is none.
func docsImage(name string) []byte {
	b, _ := docs.Files.ReadFile("images/" + name)
	return b
}

// sections is where each kind of page is explained.
var sections = map[string]string{"overview": "overview", "nodes": "nodes", "node": "nodes", "deployments": "roles-onto-nodes", "matrix": "roles-onto-nodes", "assign": "roles-onto-nodes",
	"commit": "roles-onto-nodes", "wizard": "a-new-cluster", "wizards": "a-new-cluster", "graph": "graph", "node_role": "node-roles", "annealer": "annealer", "dns": "dns-pool", "proxy": "proxy", "api": "api", "docs": "documentation"}

// docsOf is the address of what explains a page.
func docsOf(name string) string {
	if s := sections[name]; s != "" {
		return "/docs/ui#" + url.PathEscape(s)
	}
	return "/docs/ui"
}
