package main

import (
	"cmp"
	"strings"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// strays is what a deployment's cluster has of no node, and what a node lacks there.
func (d *doctor) strays(deployment string) {
	check := "cluster " + deployment
	all, err := d.c.Strays(d.ctx, deployment, d.fix)
	if crowbar.KindOf(err) == crowbar.NotFound {
		return // the deployment has gone meanwhile, or the daemon knows nothing of this
	}
	if err != nil {
		grade := skipped
		if d.fix {
			grade = wrong
		}
		d.note(check, grade, "", "%v", err)
		return
	}
	for _, x := range all.Found {
		d.stray(check, deployment, x)
	}
	for _, u := range all.Unknown {
		d.note(check, skipped, "", "role %s could not be asked what is of no node: %s", u.Role, u.Reason)
	}
	if len(all.Found) == 0 && len(all.Asked) > 0 {
		d.note(check, fine, "", "all that it has is of a node; asked: %s", strings.Join(all.Asked, ", "))
	}
}

func (d *doctor) stray(check, deployment string, x crowbar.Stray) {
	how := map[crowbar.Mend]string{crowbar.MendForget: "taken out", crowbar.MendRerun: x.Node + "/" + x.Role + " runs again", crowbar.MendDrop: "dropped"}[x.Mend]
	switch {
	case x.Mended:
		d.note(check, fine, "", "%s %s: %s; it is mended: %s", x.What, x.Name, x.Says, how)
	case x.Failure != "":
		d.note(check, wrong, cmp.Or(x.Remedy, "mend the cause, then: kubeclamp doctor --fix"), "%s %s: %s; it could not be mended: %s", x.What, x.Name, x.Says, x.Failure)
	case x.Mend == crowbar.MendByHand:
		d.note(check, wrong, cmp.Or(x.Remedy, "see 'kubeclamp why "+deployment+"'"), "%s %s: %s", x.What, x.Name, x.Says)
	default:
		d.note(check, wrong, "'kubeclamp doctor --fix' mends it", "%s %s: %s", x.What, x.Name, x.Says)
	}
}
