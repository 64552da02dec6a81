package main

import (
	"os"
	"strings"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// fromFile sets flags that were neither given nor in the environment from a file in YAML: one key for each flag, named like it
// without the dashes; a flag that may be given several times takes a list. A key that is no flag is an error.
func fromFile(f *pflag.FlagSet, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return crowbar.Errorf(crowbar.Invalid, "--config-file: %w", err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return crowbar.Errorf(crowbar.Invalid, "%s: %w", file, err)
	}
	if len(doc.Content) == 0 { // nothing but comments
		return nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return crowbar.Errorf(crowbar.Invalid, "%s:%d: want a map of flags, such as 'listen: 0.0.0.0:3443'", file, root.Line)
	}
	seen := map[string]int{}
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if before := seen[key.Value]; before > 0 {
			return crowbar.Errorf(crowbar.Invalid, "%s:%d: %q is in line %d too", file, key.Line, key.Value, before)
		}
		seen[key.Value] = key.Line
		flag := f.Lookup(key.Value)
		if flag == nil || flag.Name == "config-file" || flag.Name == "help" {
			return crowbar.Errorf(crowbar.Invalid, "%s:%d: there is no %q; 'kubeclampd --help' lists what there is", file, key.Line, key.Value)
		}
		if err := setFromFile(f, flag, value); err != nil {
			return crowbar.Errorf(crowbar.Invalid, "%s:%d: %s: %w", file, value.Line, key.Value, err)
		}
	}
	return nil
}

func setFromFile(f *pflag.FlagSet, flag *pflag.Flag, value *yaml.Node) error {
	list, many := flag.Value.(pflag.SliceValue)
	var texts []string
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag != "!!null":
		texts = []string{value.Value}
	case value.Kind == yaml.SequenceNode && many:
		if err := value.Decode(&texts); err != nil {
			return err
		}
	case many:
		return crowbar.Errorf(crowbar.Invalid, "want a list, or one value")
	default:
		return crowbar.Errorf(crowbar.Invalid, "want one value")
	}
	if flag.Changed {
		return nil
	}
	if !many {
		return f.Set(flag.Name, strings.Join(texts, ""))
	}
	flag.Changed = true
	return list.Replace(texts)
}
