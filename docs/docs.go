// Package docs is the documentation as it is in this folder, for the daemon to show. It does not know how it is shown.
package docs

import "embed"

// Files has each page as NAME.md, and its pictures below images.
//
//go:embed *.md images
var Files embed.FS
