package crowbar

import "time"

// PoolHealth is what a daemon finds and serves under the shared name of a deployment's API servers.
type PoolHealth struct {
	Deployment ID
	Name       string
	Port, TTL  int // TCP port of members; seconds that an answer is good for
	Members    []PoolMember
	Servers    []PoolServer // name servers on nodes
	At         []string     // addresses where this daemon answers for the name; none = it does not
	Answers    []PoolAnswer // what it says now
	Trouble    string       // why members are not looked at; "" = they are
	Clash      ID           // another deployment that has the same name, of which one alone is answered for; 0 = none
	History    []PoolTurn   // newest first, since the daemon began
}

// Well is how many members answer.
func (p PoolHealth) Well() (n int) {
	for _, m := range p.Members {
		if m.Known && m.Well {
			n++
		}
	}
	return n
}

// PoolMember is an API server of a pool.
type PoolMember struct {
	Node, Address string
	Well, Known   bool      // Known: it has been asked
	Since         time.Time // of the last change of mind; zero = none yet
	Error         string    // why it is not well
}

// PoolServer is a node that answers for the pool's name.
type PoolServer struct{ Node, Address string }

// PoolAnswer is one record that is served.
type PoolAnswer struct {
	Name, Type, Value string
	TTL               int
}

// PoolTurn is a change of mind about a member.
type PoolTurn struct {
	At            time.Time
	Node, Address string
	Well          bool
	Error         string
}
