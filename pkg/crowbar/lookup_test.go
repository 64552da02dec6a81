package crowbar

import (
	"encoding/json"
	"reflect"
	"testing"
)

// around is one object of each kind that lookup.go knows, and how it is found besides by its id.
func around() map[Kind]struct {
	o    Object
	find func(*Snapshot) Object
	move func(Object) Object // gives it another natural key
} {
	type row = struct {
		o    Object
		find func(*Snapshot) Object
		move func(Object) Object
	}
	return map[Kind]row{
		KindGroup: {&Group{ID: 1, Name: "g"}, func(s *Snapshot) Object { return some(s.GroupNamed("g")) },
			func(o Object) Object { c := *o.(*Group); c.Name = "h"; return &c }},
		KindNetwork: {&Network{ID: 2, Name: "n"}, func(s *Snapshot) Object { return some(s.NetworkNamed("n")) },
			func(o Object) Object { c := *o.(*Network); c.Name = "h"; return &c }},
		KindRange: {&Range{ID: 3, Network: 2, Name: "r"}, func(s *Snapshot) Object { return some(s.RangeNamed(2, "r")) },
			func(o Object) Object { c := *o.(*Range); c.Network = 9; return &c }},
		KindRouter: {&Router{ID: 4, Network: 2}, func(s *Snapshot) Object { return some(s.RouterOf(2)) },
			func(o Object) Object { c := *o.(*Router); c.Network = 9; return &c }},
		KindAllocation: {&Allocation{ID: 5, Node: 7, Address: "10.0.0.1/24"}, func(s *Snapshot) Object { return some(s.AllocationAt("10.0.0.1")) },
			func(o Object) Object { c := *o.(*Allocation); c.Address, c.Node = "10.0.0.2/24", 8; return &c }},
		KindDNSNameFilter: {&DNSNameFilter{ID: 6, Name: "f"}, func(s *Snapshot) Object { return some(s.DNSNameFilterNamed("f")) },
			func(o Object) Object { c := *o.(*DNSNameFilter); c.Name = "h"; return &c }},
		KindAvailableHammer: {&AvailableHammer{ID: 7, Name: "ssh"}, func(s *Snapshot) Object { return some(s.AvailableHammerNamed("ssh")) },
			func(o Object) Object { c := *o.(*AvailableHammer); c.Name = "h"; return &c }},
		KindHammer: {&Hammer{ID: 8, Node: 7, Class: "SSH"}, func(s *Snapshot) Object { return first(s.HammersOf(7)) },
			func(o Object) Object { c := *o.(*Hammer); c.Node = 8; return &c }},
		KindUser: {&User{ID: 9, Username: "Ann"}, func(s *Snapshot) Object { return some(s.UserNamed("aNN")) },
			func(o Object) Object { c := *o.(*User); c.Username = "bob"; return &c }},
	}
}

func some[T any, P interface {
	*T
	Object
}](p P) Object {
	if p == nil {
		return nil
	}
	return p
}

func first[T Object](l []T) Object {
	if len(l) == 0 {
		return nil
	}
	return l[0]
}

func TestLookUpAround(t *testing.T) {
	rows := around()
	for _, k := range Kinds {
		if o := New(k); o == nil || o.Kind() != k || place(k) == 0 {
			t.Errorf("%s: New gives %v, place %d", k, o, place(k))
		}
	}
	all := NewSnapshot()
	for _, row := range rows {
		all = all.Apply(1, Change{Put: row.o})
	}
	for k, row := range rows {
		if all.Get(k, row.o.Key()) != row.o || row.find(all) != row.o || all.Count(k) != 1 {
			t.Errorf("%s is not found by id and by name", k)
		}
		moved := all.Apply(2, Change{Put: row.move(row.o)})
		if row.find(moved) != nil || moved.Get(k, row.o.Key()) == nil {
			t.Errorf("%s is found by the name that it has no more", k)
		}
		if gone := all.Apply(2, Change{Drop: row.o}); row.find(gone) != nil || gone.Get(k, row.o.Key()) != nil {
			t.Errorf("%s is found after it was dropped", k)
		}
		if row.find(all) != row.o {
			t.Errorf("%s: the snapshot before has changed", k)
		}
		text, err := json.Marshal(row.o)
		back := New(k)
		if err != nil || json.Unmarshal(text, back) != nil || !reflect.DeepEqual(back, row.o) {
			t.Errorf("%s comes back from JSON as %+v (%v)", k, back, err)
		}
	}
	if n := len(all.AllocationsOf(7)); n != 1 || len(all.AllocationsOf(8)) != 0 {
		t.Errorf("node 7 has %d allocations", n)
	}
}
