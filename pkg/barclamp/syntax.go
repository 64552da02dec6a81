package barclamp

import (
	"bytes"
	"fmt"
	"io"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// notYAML turns an error of yaml into a complaint with the line at which the text stops being YAML. Yaml's own line is that
// of the block around it, or one too low; it serves where the search would take too long.
func notYAML(f File, err error) Complaint {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if n, _ := fmt.Sscanf(text, "line %d:", &line); n == 1 {
		_, text, _ = strings.Cut(text, ": ")
	}
	if found, ok := breaksAt(f.Data, err); ok {
		line = found
	}
	return Complaint{f.Path, line, "not YAML: " + text + ": mend the indentation or quoting there"}
}

// breaksAt is the line after the longest run of first lines that is YAML. Yaml reads a text from its start and stops at
// the mistake, so that from some line on each run of first lines has the very same error: the search goes back from there.
func breaksAt(data []byte, whole error) (int, bool) {
	lines := bytes.SplitAfter(data, []byte("\n"))
	ends := make([]int, len(lines)+1) // of each run of first lines
	for i, l := range lines {
		ends[i+1] = ends[i] + len(l)
	}
	stop := sort.Search(len(lines), func(k int) bool {
		err := read(data[:ends[k]])
		return err != nil && err.Error() == whole.Error()
	})
	budget := 1 << 20
	for k := min(stop, len(lines)-1); k >= 0; k-- {
		if budget -= ends[k]; budget < 0 {
			return 0, false
		}
		if read(data[:ends[k]]) == nil {
			return k + 1, true
		}
	}
	return 0, false
}

func read(data []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		if err := decoder.Decode(&n); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
