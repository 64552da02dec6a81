package barclamp

import (
	"bytes"
	"fmt"
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
	if found, ok := breaksAt(f.Data); ok {
		line = found
	}
	return Complaint{f.Path, line, "not YAML: " + text + ": mend the indentation or quoting there"}
}

// breaksAt is the line after the longest run of first lines that is YAML.
func breaksAt(data []byte) (int, bool) {
	lines := bytes.SplitAfter(data, []byte("\n"))
	budget, end := 4<<20, len(data)
	for k := len(lines) - 1; k >= 0; k-- {
		end -= len(lines[k])
		if budget -= end; budget < 0 {
			return 0, false
		}
		if readable(data[:end]) {
			return k + 1, true
		}
	}
	return 0, false
}

func readable(data []byte) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		if err := decoder.Decode(&n); err != nil {
			return err.Error() == "EOF"
		}
	}
}
