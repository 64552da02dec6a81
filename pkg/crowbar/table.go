package crowbar

import "iter"

// table is a persistent map from a number to a value: a 32-way trie whose writes copy one path, so that a snapshot of
// ten thousand nodes costs a few hundred bytes more than the one before it.
//
// A writer may name itself as owner: what it has copied once it then changes in place. Nobody else may hold the table
// meanwhile; once the owner is forgotten, the branches are as immutable as all others.
type table[T any] struct {
	root  *branch[T]
	depth int // levels below the root
	size  int
}

type owner struct{ _ byte }

// branch has children, or, at the lowest level, values.
type branch[T any] struct {
	owner *owner
	has   uint32 // which values there are
	kids  *[32]*branch[T]
	vals  *[32]T
}

func (t table[T]) get(k uint64) (v T, ok bool) {
	if t.root == nil || t.outside(k) {
		return v, false
	}
	b := t.root
	for d := t.depth; d > 0; d-- {
		if b = b.kids[k>>(5*uint(d))&31]; b == nil {
			return v, false
		}
	}
	if i := k & 31; b.has&(1<<i) != 0 {
		return b.vals[i], true
	}
	return v, false
}

// outside says that a key needs more levels than there are.
func (t table[T]) outside(k uint64) bool { return t.depth < 12 && k>>(5*uint(t.depth+1)) != 0 }

func (t table[T]) set(by *owner, k uint64, v T) table[T] {
	for t.root != nil && t.outside(k) {
		t = t.raised()
	}
	for t.root == nil && t.outside(k) {
		t.depth++
	}
	b, added := t.root.with(by, t.depth, k, v)
	t.root = b
	if added {
		t.size++
	}
	return t
}

// raised is the same table with one level more.
func (t table[T]) raised() table[T] {
	up := &branch[T]{kids: &[32]*branch[T]{t.root}}
	t.root, t.depth = up, t.depth+1
	return t
}

func (t table[T]) del(by *owner, k uint64) table[T] {
	if _, had := t.get(k); !had {
		return t
	}
	t.size--
	t.root = t.root.without(by, t.depth, k)
	return t
}

// mine is the branch if the owner has copied it before, else a copy; nil becomes an empty one.
func (b *branch[T]) mine(by *owner, leaf bool) *branch[T] {
	if b != nil && by != nil && b.owner == by {
		return b
	}
	c := &branch[T]{owner: by}
	switch {
	case b == nil && leaf:
		c.vals = new([32]T)
	case b == nil:
		c.kids = new([32]*branch[T])
	case leaf:
		vals := *b.vals
		c.vals, c.has = &vals, b.has
	default:
		kids := *b.kids
		c.kids = &kids
	}
	return c
}

func (b *branch[T]) with(by *owner, d int, k uint64, v T) (_ *branch[T], added bool) {
	c := b.mine(by, d == 0)
	if d == 0 {
		i := k & 31
		added = c.has&(1<<i) == 0
		c.vals[i], c.has = v, c.has|1<<i
		return c, added
	}
	i := k >> (5 * uint(d)) & 31
	c.kids[i], added = c.kids[i].with(by, d-1, k, v)
	return c, added
}

// without takes out a value that is there; a branch that is empty then goes too.
func (b *branch[T]) without(by *owner, d int, k uint64) *branch[T] {
	c := b.mine(by, d == 0)
	if d == 0 {
		i := k & 31
		var zero T
		c.vals[i], c.has = zero, c.has&^(1<<i)
		if c.has == 0 {
			return nil
		}
		return c
	}
	i := k >> (5 * uint(d)) & 31
	c.kids[i] = c.kids[i].without(by, d-1, k)
	for _, kid := range c.kids {
		if kid != nil {
			return c
		}
	}
	return nil
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
		} else if b.has&(1<<i) != 0 && !yield(base<<5|i, b.vals[i]) {
			return false
		}
	}
	return true
}

// differing yields the keys at which two tables do not hold the same; it costs what has changed since they were one.
func differing[T comparable](a, b table[T]) iter.Seq[uint64] {
	for a.depth < b.depth {
		a = a.raised()
	}
	for b.depth < a.depth {
		b = b.raised()
	}
	return func(yield func(uint64) bool) { differ(a.root, b.root, a.depth, 0, yield) }
}

func differ[T comparable](a, b *branch[T], d int, base uint64, yield func(uint64) bool) bool {
	if a == b {
		return true
	}
	for i := range uint64(32) {
		if d > 0 {
			if !differ(a.kid(i), b.kid(i), d-1, base<<5|i, yield) {
				return false
			}
			continue
		}
		x, in := a.val(i)
		y, too := b.val(i)
		if (in != too || x != y) && !yield(base<<5|i) {
			return false
		}
	}
	return true
}

func (b *branch[T]) kid(i uint64) *branch[T] {
	if b == nil {
		return nil
	}
	return b.kids[i]
}

func (b *branch[T]) val(i uint64) (v T, ok bool) {
	if b == nil || b.has&(1<<i) == 0 {
		return v, false
	}
	return b.vals[i], true
}
