package etcd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/role/linux"
)

// local is what the node says of its member.
type local struct {
	Data      bool   // there is a write-ahead log
	Bootstrap bool   // the first start is not over
	Stamp     uint64 // the member that the data belongs to; 0 = not written down
	Running   bool   // it answered
	ID        uint64
	Version   string
	Learner   bool
	Errors    []string
	Members   []member // as this member lists them; empty without a quorum
}

// probeText prints one line a fact. $1 data folder, $2 bootstrap file, $3 id file, $4 etcdctl, $5 certificates, $6 endpoint.
const probeText = `
for f in "$1"/member/wal/*.wal; do [ -e "$f" ] && echo data=1; break; done
[ -e "$2" ] && echo bootstrap=1
[ -r "$3" ] && echo "stamp=$(tr -d '\n' <"$3")"
[ -x "$4" ] && [ -r "$5/admin.key" ] && [ -r "$5/admin.crt" ] && [ -r "$5/ca.crt" ] || exit 0
ctl=$4 pki=$5 url=$6
ask() {
	"$ctl" --endpoints "$url" --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" \
		--dial-timeout 2s --command-timeout 4s -w json "$@" 2>/dev/null
}
still() { # what grows with each write is of no use here, and would make every answer another one
	printf '%s\n' "$1" | sed -E 's/"(revision|raft_term|raftTerm|raftIndex|raftAppliedIndex|dbSize|dbSizeInUse|leader)":[0-9]+/"\1":0/g'
}
status=$(ask endpoint status) || exit 0
echo "status=$(still "$status")"
members=$(ask member list) && echo "members=$(still "$members")"
exit 0
`

// probe reads all that in the one Exec of linux.Read.
func probe(c config) linux.Probe {
	return linux.Probe{Name: "etcd", Script: probeText, Args: []string{c.DataDir, firstFile, idFile, ctl, pkiDir, c.localURL()}}
}

// readLocal understands the probe's output.
func readLocal(text string) (local, error) {
	var l local
	in := bufio.NewScanner(strings.NewReader(text))
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		key, value, _ := strings.Cut(in.Text(), "=")
		var err error
		switch key {
		case "data":
			l.Data = true
		case "bootstrap":
			l.Bootstrap = true
		case "stamp":
			l.Stamp, _ = strconv.ParseUint(value, 16, 64)
		case "status":
			err = l.status(value)
		case "members":
			var doc struct{ Members []member }
			err = json.Unmarshal([]byte(value), &doc)
			l.Members = doc.Members
		}
		if err != nil {
			return l, fmt.Errorf("etcdctl's %s: %w: %s", key, err, value)
		}
	}
	return l, in.Err()
}

func (l *local) status(text string) error {
	var doc []struct {
		Status struct {
			Header struct {
				Member uint64 `json:"member_id"`
			}
			Version string
			Learner bool `json:"isLearner"`
			Errors  []string
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return err
	}
	for _, d := range doc {
		l.Running, l.ID, l.Version = true, d.Status.Header.Member, d.Status.Version
		l.Learner, l.Errors = d.Status.Learner, d.Status.Errors
	}
	return nil
}

// serves says that the member is in the cluster as a voter, answers with a quorum behind it, and its first start is over.
func (l local) serves(peerURL string) bool {
	m, ok := own(l.Members, peerURL)
	return l.Running && ok && m.ID == l.ID && !m.IsLearner && !l.Bootstrap && l.Stamp == l.ID && len(l.Errors) == 0
}
