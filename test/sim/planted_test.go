//go:build plantbug

package sim

import (
	"cmp"
	"os"
)

// planted is the bug that `-tags plantbug` plants into the sim's own wrappers: TestSim must fail then.
var planted = cmp.Or(os.Getenv("KUBECLAMP_SIM_PLANT"), bugs[0])

const tagged = " -tags plantbug"
