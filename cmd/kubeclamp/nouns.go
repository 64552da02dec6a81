package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// noun is a kind of objects with the verbs that all have in common.
type noun struct {
	name    string // OpenCrowbar's, without underscores
	kind    crowbar.Kind
	about   string
	columns string // keys of the object; KEY:KIND for the name of the object that an id refers to
	verbs   string
}

const (
	reads   = "list show match sample"
	changes = reads + " create update patch destroy"
	carries = " attribs get set"
)

// nouns are those of which there is nothing else to say. "entrys" is OpenCrowbar's spelling.
var nouns = []noun{
	{"roles", crowbar.KindRole, "Deployment steps", "name jig_name cohort description", reads + " update patch" + carries},
	{"barclamps", crowbar.KindBarclamp, "Sets of roles", "name version description", reads},
	{"jigs", crowbar.KindJig, "Ways to reach nodes", "name active class description", reads + " update patch"},
	{"attribs", crowbar.KindAttrib, "Named values", "name map writable description", reads + " create destroy"},
	{"runs", crowbar.KindRun, "Runs on record", "id node_id:nodes role_id:roles outcome started", "list show"},
	{"deploymentroles", crowbar.KindDeploymentRole, "Roles in deployments", "deployment_id:deployments role_id:roles created_at", changes + carries + " propose commit"},
	{"groups", crowbar.KindGroup, "Sets of nodes", "name category description", changes},
	{"networks", crowbar.KindNetwork, "Networks that nodes have addresses in", "name category group conduit vlan v6prefix", changes},
	{"networkranges", crowbar.KindRange, "Runs of addresses that are handed out", "name network_id:networks first last", changes},
	{"networkrouters", crowbar.KindRouter, "Ways out of networks", "address network_id:networks pref", changes},
	{"networkallocations", crowbar.KindAllocation, "Addresses that nodes have", "address node_id:nodes network_id:networks network_range_id:network_ranges", reads + " create destroy"},
	{"dnsnamefilters", crowbar.KindDNSNameFilter, "What gives addresses names", "name priority matcher template service", changes},
	{"dnsnameentrys", "dns_name_entries", "Names of addresses", "name rr_type network_allocation_id:network_allocations", reads},
	{"availablehammers", crowbar.KindAvailableHammer, "Kinds of hammers", "name klass priority", changes},
	{"hammers", crowbar.KindHammer, "Ways to switch nodes and get at them", "name node_id:nodes username endpoint priority", changes},
	{"eventsinks", crowbar.KindEventSink, "Who is told of events by requests to their addresses", "endpoint active sent failures dead last_error", changes},
	{"eventselectors", crowbar.KindEventSelector, "Which events a sink is told of", "id event_sink_id:event_sinks selector", changes},
	{"users", crowbar.KindUser, "Who may use the API", "username email right is_admin is_locked", changes},
	{"tokens", crowbar.KindToken, "What lets programs in", "name username right deployments expires_at used_at", reads},
}

// shared are the verbs that nouns with commands of their own have in common with the others.
var shared = []noun{
	{"nodes", crowbar.KindNode, "", "name address alive available jig_name description", "match sample patch attribs get set propose commit"},
	{"deployments", crowbar.KindDeployment, "", "name state paused description", "match sample update patch attribs get set"},
	{"noderoles", crowbar.KindNodeRole, "", "node_id:nodes role_id:roles state status", "match sample create update patch attribs get set propose commit"},
}

func (a *app) nounCommands() []*cobra.Command {
	var out []*cobra.Command
	for _, n := range nouns {
		cmd := &cobra.Command{Use: n.name, Short: n.about + ": " + strings.Join(strings.Fields(n.verbs), ", "), Args: cobra.NoArgs}
		if dashed := strings.ReplaceAll(string(n.kind), "_", "-"); dashed != n.name {
			cmd.Aliases = []string{dashed, string(n.kind)}
		}
		a.addVerbs(cmd, n)
		switch n.kind {
		case crowbar.KindGroup:
			cmd.AddCommand(a.joinCommand("add", "to", true), a.joinCommand("remove", "from", false))
		case crowbar.KindBarclamp:
			cmd.Aliases = append(cmd.Aliases, "barclamp")
			cmd.AddCommand(a.importCommand(), a.packageCommand(), a.installCommand(), a.uninstallCommand())
		case crowbar.KindUser:
			cmd.AddCommand(a.passwordCommand(), a.lockCommand(n, "lock", "Let a user in no more, by whatever way; all their sessions end", true),
				a.lockCommand(n, "unlock", "Let a user in again", false))
		case crowbar.KindToken:
			cmd.AddCommand(a.tokenCreateCommand(), a.destroyCommand(n.kind, "revoke", "Let nobody in with one any more", false))
		}
		a.addGrammar(cmd)
		cmd.RunE = a.nounList(n).RunE
		out = append(out, cmd)
	}
	return out
}

// addShared gives a command the verbs that its noun has in common with the others.
func (a *app) addShared(cmd *cobra.Command) *cobra.Command {
	for _, n := range shared {
		if n.name == cmd.Name() {
			a.addVerbs(cmd, n)
		}
	}
	return a.addGrammar(cmd)
}

func (a *app) addVerbs(cmd *cobra.Command, n noun) {
	for _, verb := range strings.Fields(n.verbs) {
		switch verb {
		case "list":
			cmd.AddCommand(a.nounList(n))
		case "show":
			cmd.AddCommand(a.showCommand(n.kind))
		case "match":
			cmd.AddCommand(a.nounMatch(n))
		case "sample":
			cmd.AddCommand(a.nounSample(n))
		case "create":
			cmd.AddCommand(a.nounCreate(n))
		case "update":
			cmd.AddCommand(a.nounUpdate(n))
		case "patch":
			cmd.AddCommand(a.nounPatch(n))
		case "destroy":
			cmd.AddCommand(a.destroyCommand(n.kind, "destroy", "Delete one", false))
		case "attribs":
			cmd.AddCommand(a.nounAttribs(n))
		case "get":
			cmd.AddCommand(a.nounGet(n))
		case "set":
			cmd.AddCommand(a.nounSet(n))
		case "propose":
			cmd.AddCommand(a.nounVerb(n, verb, "Open it for editing"))
		case "commit":
			cmd.AddCommand(a.nounVerb(n, verb, "Make what is proposed the thing to do"))
		}
	}
}
