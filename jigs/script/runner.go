package script

import _ "embed"

var (
	//go:embed runner.sh
	runnerBegin string
	//go:embed runner_crowbar.sh
	runnerCrowbar string
	//go:embed runner_rebar.sh
	runnerRebar string
	//go:embed runner_end.sh
	runnerEnd string
)

// runner is the program that runs a role's scripts on the node.
func runner(rebar bool) []byte {
	if rebar {
		return []byte(runnerBegin + runnerRebar + runnerEnd)
	}
	return []byte(runnerBegin + runnerCrowbar + runnerEnd)
}
