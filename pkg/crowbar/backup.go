package crowbar

import "time"

// Backup is one copy of a cluster: its etcd, and the state of the daemon, in which its authorities and keys are, sealed.
type Backup struct {
	Name       string       `json:"name"`
	Deployment string       `json:"deployment"`
	Why        string       `json:"why"` // asked, scheduled, or "before ..." a step
	Made       time.Time    `json:"made_at"`
	Node       string       `json:"node"`     // whose member of etcd gave it
	Etcd       string       `json:"etcd"`     // version of that member
	Program    string       `json:"program"`  // version of the daemon
	Schema     int          `json:"schema"`   // form of the daemon's state
	Revision   int64        `json:"revision"` // of etcd: every write up to it is in the copy
	Keys       int          `json:"keys"`     // in etcd
	SealKeys   []string     `json:"seal_keys"`
	Files      []BackupFile `json:"files"`
	Verified   time.Time    `json:"verified_at,omitzero"` // when it was last restored into a member of its own and found right
	Problem    string       `json:"problem,omitempty"`    // why it is of no use; "" = none is known
}

// BackupFile is a file of a backup.
type BackupFile struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
}

// Bytes is what it takes on the disk.
func (b Backup) Bytes() int64 {
	var n int64
	for _, f := range b.Files {
		n += f.Bytes
	}
	return n
}
