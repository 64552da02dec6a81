package plugin

import (
	"encoding/json"
	"io"
	"io/fs"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
	"github.com/kubeclamp/kubeclamp/pkg/jig"
	"github.com/kubeclamp/kubeclamp/pkg/role"
	rolev1 "github.com/kubeclamp/kubeclamp/proto/role/v1"
)

// Every field of the wire is named in this file (and errors in trouble.go), and nowhere else.

func infoOut(r role.Role) *rolev1.DescribeResponse {
	i := r.Describe()
	_, checks := r.(role.Checker)
	_, removes := r.(role.Remover)
	return &rolev1.DescribeResponse{Name: i.Name, Version: i.Version, Wants: i.Wants, Checks: checks, Removes: removes, Actions: i.Actions}
}

// ability is what a role said of itself at the start of its process.
type ability struct {
	info            role.Info
	checks, removes bool
	program         string // sha256 of the program, hex
}

func infoIn(d *rolev1.DescribeResponse) ability {
	return ability{info: role.Info{Name: d.GetName(), Version: d.GetVersion(), Wants: d.GetWants(), Actions: d.GetActions()}, checks: d.GetChecks(), removes: d.GetRemoves()}
}

func targetOut(t role.Target, hands uint32) (*rolev1.Target, error) {
	attribs, err := dataOut(t.Attribs)
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "attribs of node %s: %w", t.Node, err)
	}
	out := &rolev1.Target{Node: t.Node, Address: t.Address, Deployment: t.Deployment, Arch: t.Arch, AttribsJson: attribs,
		First: t.First, Again: t.Again, Last: t.Last, DryRun: t.DryRun, Hands: hands, Holds: t.Hold != nil}
	for _, p := range t.Peers {
		wall, err := dataOut(p.Wall)
		if err != nil {
			return nil, crowbar.Errorf(crowbar.Invalid, "wall of role %s on node %s: %w", p.Role, p.Node, err)
		}
		out.Peers = append(out.Peers, &rolev1.Peer{Role: p.Role, Node: p.Node, Address: p.Address, State: int32(p.State),
			Settled: p.Settled, First: p.First, Alive: p.Alive, WallJson: wall})
	}
	return out, nil
}

func targetIn(t *rolev1.Target) (role.Target, error) {
	attribs, err := dataIn(t.GetAttribsJson())
	if err != nil {
		return role.Target{}, err
	}
	out := role.Target{Node: t.GetNode(), Address: t.GetAddress(), Deployment: t.GetDeployment(), Arch: t.GetArch(), Attribs: attribs,
		First: t.GetFirst(), Again: t.GetAgain(), Last: t.GetLast(), DryRun: t.GetDryRun()}
	for _, p := range t.GetPeers() {
		wall, err := dataIn(p.GetWallJson())
		if err != nil {
			return role.Target{}, err
		}
		out.Peers = append(out.Peers, role.Peer{Role: p.GetRole(), Node: p.GetNode(), Address: p.GetAddress(), State: crowbar.State(p.GetState()),
			Settled: p.GetSettled(), First: p.GetFirst(), Alive: p.GetAlive(), Wall: wall})
	}
	return out, nil
}

func dataOut(d crowbar.Data) ([]byte, error) {
	if d == nil {
		return nil, nil
	}
	return json.Marshal(d)
}

func dataIn(b []byte) (crowbar.Data, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var d crowbar.Data
	err := json.Unmarshal(b, &d)
	return d, err
}

func changesOut(in []role.Change) []*rolev1.Change {
	out := make([]*rolev1.Change, len(in))
	for i, c := range in {
		out[i] = &rolev1.Change{What: c.What, Name: c.Name, Do: c.Do, Diff: c.Diff, Unified: c.Unified, More: int32(c.More)}
	}
	return out
}

func changesIn(in []*rolev1.Change) []role.Change {
	var out []role.Change
	for _, c := range in {
		out = append(out, role.Change{What: c.GetWhat(), Name: c.GetName(), Do: c.GetDo(), Diff: c.GetDiff(), Unified: c.GetUnified(), More: int(c.GetMore())})
	}
	return out
}

func applyOut(r role.Result, failed error) *rolev1.ApplyResponse {
	wall, err := dataOut(r.Wall)
	if err != nil && failed == nil {
		failed = crowbar.Errorf(crowbar.Internal, "the wall is not JSON: %w", err)
	}
	return &rolev1.ApplyResponse{Changes: changesOut(r.Changes), WallJson: wall, Trouble: troubleOut(failed)}
}

func applyIn(r *rolev1.ApplyResponse) (role.Result, error) {
	wall, err := dataIn(r.GetWallJson())
	out := role.Result{Changes: changesIn(r.GetChanges()), Wall: wall}
	if t := r.GetTrouble(); t != nil {
		return out, troubleIn(t)
	}
	return out, err
}

func checkOut(d role.Drift, failed error) *rolev1.CheckResponse {
	return &rolev1.CheckResponse{Changes: changesOut(d.Changes), Trouble: troubleOut(failed)}
}

func checkIn(r *rolev1.CheckResponse) (role.Drift, error) {
	d := role.Drift{Changes: changesIn(r.GetChanges())}
	if t := r.GetTrouble(); t != nil {
		return d, troubleIn(t)
	}
	return d, nil
}

func actIn(r *rolev1.ActRequest, out io.Writer) (role.Action, error) {
	args, err := dataIn(r.GetArgsJson())
	return role.Action{Name: r.GetAction(), Args: args, Out: out}, err
}

func actPiece(b []byte) *rolev1.ActResponse {
	return &rolev1.ActResponse{Step: &rolev1.ActResponse_Out{Out: b}}
}

func actEnd(d crowbar.Data, failed error) *rolev1.ActResponse {
	b, err := dataOut(d)
	if err != nil && failed == nil {
		failed = crowbar.Errorf(crowbar.Internal, "what the action gives back is not JSON: %w", err)
	}
	return &rolev1.ActResponse{Step: &rolev1.ActResponse_End{End: &rolev1.ActEnd{DataJson: b, Trouble: troubleOut(failed)}}}
}

func startOut(c jig.Cmd, place string) *rolev1.ExecRequest {
	return &rolev1.ExecRequest{Step: &rolev1.ExecRequest_Start{Start: &rolev1.ExecStart{Argv: c.Argv, Env: c.Env,
		HasStdin: c.Stdin != nil, TimeoutNs: int64(c.Timeout), Secret: c.Secret, Reads: c.Reads, Place: place}}}
}

func startIn(s *rolev1.ExecStart) jig.Cmd {
	return jig.Cmd{Argv: s.GetArgv(), Env: s.GetEnv(), Timeout: time.Duration(s.GetTimeoutNs()), Secret: s.GetSecret(), Reads: s.GetReads()}
}

func artifactOut(a role.Artifact) *rolev1.StatArtifactResponse {
	return &rolev1.StatArtifactResponse{Name: a.Name, Version: a.Version, Sha256: a.SHA256, Size: a.Size}
}

func artifactIn(a *rolev1.StatArtifactResponse) role.Artifact {
	return role.Artifact{Name: a.GetName(), Version: a.GetVersion(), SHA256: a.GetSha256(), Size: a.GetSize()}
}

func modeIn(m uint32) fs.FileMode { return fs.FileMode(m) }
