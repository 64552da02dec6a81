package lab

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// limits is what the kernel lets this process give to a container.
type limits struct {
	caps    uint64            // capability bounding set
	oom     int               // our own score: a lower one takes a capability that root of some machines lacks
	ceiling map[string]uint64 // hard limit of each rlimit, when it may not be raised
}

// capNames are the capabilities in the kernel's order.
const capNames = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW " +
	"IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE " +
	"AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"

const capSysResource = 24

// runc stands before the real runc in a node. Container engines ask for more than root of a lab machine may have; this
// lowers what they ask to what there is, then becomes the runc further down PATH.
func runc(args []string) error {
	self, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	program, err := nextRunc(os.Getenv("PATH"), self)
	if err != nil {
		return err
	}
	bundle, processFile, creates := parseRunc(args)
	if creates {
		lim, err := ownLimits()
		if err != nil {
			return err
		}
		for _, f := range []struct {
			path string
			pick func(map[string]any) map[string]any
		}{
			{filepath.Join(bundle, "config.json"), func(m map[string]any) map[string]any { p, _ := m["process"].(map[string]any); return p }},
			{processFile, func(m map[string]any) map[string]any { return m }},
		} {
			if err := clampFile(f.path, lim, f.pick); err != nil {
				return fmt.Errorf("lab: fit %s to this machine: %w", f.path, err)
			}
		}
	}
	return fmt.Errorf("lab: run %s: %w", program, syscall.Exec(program, append([]string{"runc"}, args...), os.Environ()))
}

// nextRunc is the first runc that is not the lab's.
func nextRunc(path, self string) (string, error) {
	for dir := range strings.SplitSeq(path+":/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ":") {
		p := filepath.Join(dir, "runc")
		to, err := filepath.EvalSymlinks(p)
		if dir == "" || err != nil || to == self || strings.HasPrefix(to, wrapperDir) {
			continue
		}
		if st, err := os.Stat(to); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	return "", crowbar.Errorf(crowbar.NotFound, "no runc on this node: install one into /usr/local/bin")
}

// parseRunc finds in runc's command line what describes the process to start.
func parseRunc(args []string) (bundle, processFile string, creates bool) {
	bundle = "."
	for i, a := range args {
		name, value, joined := strings.Cut(a, "=")
		if !joined && i+1 < len(args) {
			value = args[i+1]
		}
		switch name {
		case "create", "run", "restore", "exec":
			creates = true
		case "-b", "--bundle":
			bundle = value
		case "-p", "--process":
			processFile = value
		}
	}
	return bundle, processFile, creates
}

func ownLimits() (limits, error) {
	lim := limits{ceiling: map[string]uint64{}}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return lim, err
	}
	for line := range strings.Lines(string(status)) {
		if v, ok := strings.CutPrefix(line, "CapBnd:"); ok {
			if lim.caps, err = strconv.ParseUint(strings.TrimSpace(v), 16, 64); err != nil {
				return lim, err
			}
		}
	}
	score, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return lim, err
	}
	if lim.oom, err = strconv.Atoi(strings.TrimSpace(string(score))); err != nil {
		return lim, err
	}
	if lim.caps&(1<<capSysResource) != 0 {
		lim.oom = -1000
		return lim, nil
	}
	for name, id := range map[string]int{"RLIMIT_CORE": unix.RLIMIT_CORE, "RLIMIT_NOFILE": unix.RLIMIT_NOFILE, "RLIMIT_NPROC": unix.RLIMIT_NPROC,
		"RLIMIT_MEMLOCK": unix.RLIMIT_MEMLOCK, "RLIMIT_STACK": unix.RLIMIT_STACK, "RLIMIT_DATA": unix.RLIMIT_DATA, "RLIMIT_AS": unix.RLIMIT_AS,
		"RLIMIT_FSIZE": unix.RLIMIT_FSIZE, "RLIMIT_CPU": unix.RLIMIT_CPU, "RLIMIT_MSGQUEUE": unix.RLIMIT_MSGQUEUE, "RLIMIT_SIGPENDING": unix.RLIMIT_SIGPENDING} {
		var r unix.Rlimit
		if err := unix.Getrlimit(id, &r); err != nil {
			return lim, err
		}
		lim.ceiling[name] = r.Max
	}
	return lim, nil
}

// clampFile rewrites one runtime document, if it is there and asks for too much.
func clampFile(path string, lim limits, pick func(map[string]any) map[string]any) error {
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil // runc will say so better
	} else if err != nil {
		return err
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber() // rlimits do not fit a float
	var doc map[string]any
	if err := d.Decode(&doc); err != nil {
		return err
	}
	process := pick(doc)
	if process == nil || !clamp(process, lim) {
		return nil
	}
	if b, err = json.Marshal(doc); err != nil {
		return err
	}
	return writeFile(path, b, 0o600)
}

// clamp lowers what a process asks for to what can be had, and says whether it changed anything.
func clamp(process map[string]any, lim limits) bool {
	changed := false
	if caps, ok := process["capabilities"].(map[string]any); ok {
		for set, v := range caps {
			if have, cut := clampCaps(v, lim.caps); cut {
				caps[set], changed = have, true
			}
		}
	}
	if n, ok := process["oomScoreAdj"].(json.Number); ok {
		if v, err := n.Int64(); err == nil && v < int64(lim.oom) {
			process["oomScoreAdj"], changed = lim.oom, true
		}
	}
	list, _ := process["rlimits"].([]any)
	for _, v := range list {
		r, _ := v.(map[string]any)
		name, _ := r["type"].(string)
		ceiling, ok := lim.ceiling[name]
		for _, k := range []string{"hard", "soft"} {
			n, isNumber := r[k].(json.Number)
			if !ok || !isNumber {
				continue
			}
			if v, err := strconv.ParseUint(n.String(), 10, 64); err != nil || v > ceiling {
				r[k], changed = ceiling, true
			}
		}
	}
	return changed
}

func clampCaps(v any, bounding uint64) (have []any, cut bool) {
	have = []any{}
	list, _ := v.([]any)
	ids := map[string]int{}
	for i, n := range strings.Fields(capNames) {
		ids["CAP_"+n] = i
	}
	for _, c := range list {
		if id, known := ids[fmt.Sprint(c)]; known && bounding&(1<<id) == 0 {
			cut = true
			continue
		}
		have = append(have, c)
	}
	return have, cut
}
