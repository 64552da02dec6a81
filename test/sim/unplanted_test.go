//go:build !plantbug

package sim

// planted is no bug at all; see planted_test.go.
var planted = ""

const tagged = ""
