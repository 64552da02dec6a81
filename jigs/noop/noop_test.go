package noop

import (
	"testing"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/jig/jigtest"
)

func TestContract(t *testing.T) {
	jigtest.Run(t, func(t *testing.T) jig.Conn {
		c, err := New().Dial(t.Context(), &crowbar.Node{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}, jigtest.Options{Dir: "/x", Nothing: true})
}
