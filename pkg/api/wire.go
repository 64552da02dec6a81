package api

import (
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// The structs below are OpenCrowbar's objects, key for key: what a client that was written for it decodes.

// stamp is a time as Rails writes it: UTC, with milliseconds; null where there is none.
type stamp time.Time

// MarshalJSON writes the time.
func (t stamp) MarshalJSON() ([]byte, error) {
	if time.Time(t).IsZero() {
		return []byte("null"), nil
	}
	return []byte(time.Time(t).UTC().Format(`"2006-01-02T15:04:05.000Z"`)), nil
}

// ref is the id of another object, null where there is none.
type ref crowbar.ID

// MarshalJSON writes the id.
func (id ref) MarshalJSON() ([]byte, error) {
	if id == 0 {
		return []byte("null"), nil
	}
	return []byte(crowbar.ID(id).String()), nil
}

type stamps struct {
	CreatedAt stamp `json:"created_at"`
	UpdatedAt stamp `json:"updated_at"`
}

func stampsOf(s crowbar.Stamps) stamps { return stamps{stamp(s.CreatedAt), stamp(s.UpdatedAt)} }

type barclampWire struct {
	ID           ref          `json:"id"`
	Name         string       `json:"name"`
	Description  string       `json:"description"`
	Barclamp     ref          `json:"barclamp_id"`
	Version      string       `json:"version"`
	SourceURL    any          `json:"source_url"`
	SourcePath   string       `json:"source_path"`
	Commit       any          `json:"commit"`
	BuildOn      any          `json:"build_on"`
	BuildVersion any          `json:"build_version"`
	Document     crowbar.Data `json:"cfg_data"`
	stamps
}

type jigWire struct {
	ID          ref    `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Order       int    `json:"order"`
	Active      bool   `json:"active"`
	ClientRole  any    `json:"client_role_name"`
	Server      any    `json:"server"`
	ClientName  any    `json:"client_name"`
	Key         any    `json:"key"`
	stamps
}

type roleWire struct {
	ID          ref      `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Jig         string   `json:"jig_name"`
	Barclamp    ref      `json:"barclamp_id"`
	Cohort      int      `json:"cohort"`
	Provides    []string `json:"provides"`
	Conflicts   []string `json:"conflicts"`
	Library     bool     `json:"library"`
	Implicit    bool     `json:"implicit"`
	Bootstrap   bool     `json:"bootstrap"`
	Discovery   bool     `json:"discovery"`
	Cluster     bool     `json:"cluster"`
	Destructive bool     `json:"destructive"`
	Abstract    bool     `json:"abstract"`
	Milestone   bool     `json:"milestone"`
	Powersave   bool     `json:"powersave"`
	Service     bool     `json:"service"`
	stamps
}

type attribWire struct {
	ID          ref    `json:"id"`
	Barclamp    ref    `json:"barclamp_id"`
	Role        ref    `json:"role_id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	Writable    bool   `json:"writable"`
	Schema      any    `json:"schema"`
	Order       int    `json:"order"`
	Map         string `json:"map"`
	Renderer    string `json:"ui_renderer"`
	Default     any    `json:"default"` // {"value": X}
	stamps
}

type nodeWire struct {
	ID          ref      `json:"id"`
	Name        string   `json:"name"`
	Description any      `json:"description"`
	Admin       bool     `json:"admin"`
	System      bool     `json:"system"`
	TargetRole  ref      `json:"target_role_id"`
	Deployment  ref      `json:"deployment_id"`
	Allocated   bool     `json:"allocated"`
	Alive       bool     `json:"alive"`
	Available   bool     `json:"available"`
	BootEnv     string   `json:"bootenv"`
	Quirks      []string `json:"quirks"`
	stamps
}

type deploymentWire struct {
	ID          ref    `json:"id"`
	State       int    `json:"state"`
	Name        string `json:"name"`
	Description any    `json:"description"`
	System      bool   `json:"system"`
	Parent      ref    `json:"parent_id"`
	stamps
}

type deploymentRoleWire struct {
	ID         ref `json:"id"`
	Deployment ref `json:"deployment_id"`
	Role       ref `json:"role_id"`
	stamps
}

type nodeRoleWire struct {
	ID         ref    `json:"id"`
	Deployment ref    `json:"deployment_id"`
	Node       ref    `json:"node_id"`
	Role       ref    `json:"role_id"`
	State      int    `json:"state"`
	Status     string `json:"status"`
	RunLog     string `json:"runlog"`
	Available  bool   `json:"available"`
	Order      int    `json:"order"`
	Cohort     int    `json:"cohort"`
	RunCount   int    `json:"run_count"`
	NodeError  bool   `json:"node_error"`
	stamps
}

type runWire struct {
	ID       ref    `json:"id"`
	NodeRole ref    `json:"node_role_id"`
	Node     ref    `json:"node_id"`
	Data     any    `json:"run_data"`
	Running  bool   `json:"running"`
	Queue    string `json:"queue"`
	Job      any    `json:"job_id"`
	stamps
}
