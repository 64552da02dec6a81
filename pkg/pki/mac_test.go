package pki

import (
	"bytes"
	"testing"
)

func TestMac(t *testing.T) {
	ring := func(b byte) *Ring {
		r, err := NewRing(bytes.Repeat([]byte{b}, 32))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a := ring(1).Mac([]byte("x"))
	for name, other := range map[string][]byte{"another text": ring(1).Mac([]byte("y")), "another key": ring(2).Mac([]byte("x"))} {
		if bytes.Equal(a, other) {
			t.Errorf("%s has the same digest", name)
		}
	}
	if !bytes.Equal(a, ring(1).Mac([]byte("x"))) || len(a) != 32 {
		t.Errorf("%x is not the same the second time", a)
	}
}
