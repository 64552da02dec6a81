package crowbar

import (
	"iter"
	"slices"
)

// ids is a persistent set of ids: a sorted list while there are few of them, a trie from then on, so that one more among
// ten thousand does not cost a copy of all.
type ids struct {
	few  []ID
	many *table[struct{}]
}

const few = 64

func (l ids) empty() bool { return l.many == nil && len(l.few) == 0 }

func (l ids) len() int {
	if l.many != nil {
		return l.many.size
	}
	return len(l.few)
}

func (l ids) all() iter.Seq[ID] {
	if l.many == nil {
		return slices.Values(l.few)
	}
	return func(yield func(ID) bool) {
		for k := range l.many.all() {
			if !yield(ID(k)) {
				return
			}
		}
	}
}

func (l ids) with(by *owner, id ID) ids {
	if l.many != nil {
		t := l.many.set(by, uint64(id), struct{}{})
		return ids{many: &t}
	}
	i, had := slices.BinarySearch(l.few, id)
	if had {
		return l
	}
	if len(l.few) < few {
		more := make([]ID, 0, len(l.few)+1)
		return ids{few: append(append(append(more, l.few[:i]...), id), l.few[i:]...)}
	}
	var t table[struct{}]
	once := &owner{}
	for _, old := range l.few {
		t = t.set(once, uint64(old), struct{}{})
	}
	t = t.set(once, uint64(id), struct{}{})
	return ids{many: &t}
}

func (l ids) without(by *owner, id ID) ids {
	if l.many != nil {
		t := l.many.del(by, uint64(id))
		if t.size == 0 {
			return ids{}
		}
		return ids{many: &t}
	}
	i, had := slices.BinarySearch(l.few, id)
	if !had {
		return l
	}
	return ids{few: slices.Delete(slices.Clone(l.few), i, i+1)}
}

// index is lists of ids by a number.
type index = table[ids]

// listing puts an id into a list of an index, or takes it out.
type listing func(t index, by *owner, k uint64, id ID) index

func add(t index, by *owner, k uint64, id ID) index {
	old, _ := t.get(k)
	return t.set(by, k, old.with(by, id))
}

func remove(t index, by *owner, k uint64, id ID) index {
	old, _ := t.get(k)
	switch left := old.without(by, id); {
	case left.empty():
		return t.del(by, k)
	case left.len() != old.len():
		return t.set(by, k, left)
	}
	return t
}
