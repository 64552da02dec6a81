package crowbar

import "iter"

// table is a persistent map from a number to a value: a 32-way trie whose writes copy one path, so that a snapshot of
// ten thousand nodes costs a few hundred bytes more than the one before it.
type table[T any] struct {
	root  *branch[T]
	depth int // levels below the root
	size  int
}

type branch[T any] struct {
	kids [32]*branch[T]
	vals *[32]slot[T]
}

type slot[T any] struct {
	ok bool
	v  T
}

func (t table[T]) get(k uint64) (v T, ok bool) {
	if t.root == nil || k>>(5*uint(t.depth+1)) != 0 && t.depth < 12 {
		return v, false
	}
	b := t.root
	for d := t.depth; d > 0; d-- {
		if b = b.kids[k>>(5*uint(d))&31]; b == nil {
			return v, false
		}
	}
	if b.vals == nil {
		return v, false
	}
	s := b.vals[k&31]
	return s.v, s.ok
}

func (t table[T]) set(k uint64, v T) table[T] {
	if t.root == nil {
		t.root = &branch[T]{}
	}
	for t.depth < 12 && k>>(5*uint(t.depth+1)) != 0 {
		up := &branch[T]{}
		up.kids[0] = t.root
		t.root, t.depth = up, t.depth+1
	}
	if _, had := t.get(k); !had {
		t.size++
	}
	t.root = t.root.with(t.depth, k, slot[T]{ok: true, v: v})
	return t
}

func (t table[T]) del(k uint64) table[T] {
	if _, had := t.get(k); !had {
		return t
	}
	t.size--
	t.root = t.root.with(t.depth, k, slot[T]{})
	return t
}

func (b *branch[T]) with(d int, k uint64, s slot[T]) *branch[T] {
	c := branch[T]{}
	if b != nil {
		c = *b
	}
	if d == 0 {
		v := [32]slot[T]{}
		if c.vals != nil {
			v = *c.vals
		}
		v[k&31] = s
		c.vals = &v
		return &c
	}
	i := k >> (5 * uint(d)) & 31
	c.kids[i] = c.kids[i].with(d-1, k, s)
	return &c
}

// all yields in order of keys.
func (t table[T]) all() iter.Seq2[uint64, T] {
	return func(yield func(uint64, T) bool) { t.root.walk(t.depth, 0, yield) }
}

func (b *branch[T]) walk(d int, base uint64, yield func(uint64, T) bool) bool {
	if b == nil {
		return true
	}
	for i := range uint64(32) {
		if d > 0 {
			if !b.kids[i].walk(d-1, base<<5|i, yield) {
				return false
			}
		} else if b.vals != nil && b.vals[i].ok && !yield(base<<5|i, b.vals[i].v) {
			return false
		}
	}
	return true
}
