package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// inotify is the one setting of the machine that many nodes outgrow; newer kernels count it for all of them together.
const inotify = "fs/inotify/max_user_instances"

func raiseSysctls(rec *record, root string) error {
	path := filepath.Join(root, inotify)
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	was := strings.TrimSpace(string(b))
	have, err := strconv.Atoi(was)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	want := max(1024, 64*len(rec.Nodes))
	if have >= want {
		return nil
	}
	set := strconv.Itoa(want)
	if i := slices.IndexFunc(rec.Sysctls, func(s savedValue) bool { return s.Key == inotify }); i >= 0 {
		rec.Sysctls[i].Set = set
	} else {
		rec.Sysctls = append(rec.Sysctls, savedValue{Key: inotify, Was: was, Set: set})
	}
	return os.WriteFile(path, []byte(set), 0)
}

// restoreSysctls puts back what the lab raised, unless somebody has changed it since.
func restoreSysctls(rec record, root string) error {
	for _, s := range rec.Sysctls {
		path := filepath.Join(root, s.Key)
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if strings.TrimSpace(string(b)) != s.Set {
			continue
		}
		if err := os.WriteFile(path, []byte(s.Was), 0); err != nil {
			return err
		}
	}
	return nil
}
