package crowbar

// DNSNameFilter gives addresses names: every allocation that its matcher takes gets the name that its template makes.
type DNSNameFilter struct {
	ID       ID     `json:"id"`
	Name     string `json:"name"`
	Matcher  string `json:"matcher"`  // such as `net.category == "admin", node.role has "etcd"`: all must hold
	Priority int    `json:"priority"` // unique; lowest first
	Service  string `json:"service"`  // the name server that serves its names; the daemon's own is "system"
	Template string `json:"template"` // such as "{{node.name}}.example.com"
	Stamps
}

// DNSNameEntry is one name of one allocation. It is worked out of the state and not stored, so that it cannot drift.
type DNSNameEntry struct {
	ID         ID     `json:"id"` // of the pair of allocation and filter
	Allocation ID     `json:"network_allocation_id"`
	Filter     ID     `json:"dns_name_filter_id"`
	Name       string `json:"name"`    // whole, without the last dot
	RRType     string `json:"rr_type"` // A or AAAA
	Address    string `json:"-"`       // without prefix length
	Stamps
}

// Kind of a filter.
func (*DNSNameFilter) Kind() Kind { return KindDNSNameFilter }

// Key of a filter.
func (o *DNSNameFilter) Key() ID { return o.ID }
