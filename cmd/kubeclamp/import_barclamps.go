package main

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"github.com/kubeclamp/kubeclamp/pkg/barclamp"
	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// importCommand imports barclamp documents in the order in which they are given.
func (a *app) importCommand() *cobra.Command {
	var to string
	cmd := &cobra.Command{Use: "import FILE|DIR|TGZ...", Short: "Import barclamps, in this order: documents (- is standard input), folders, or packed folders", Args: cobra.MinimumNArgs(1),
		Long: `Import barclamps, in this order: documents (- is standard input), folders, or packed folders.

A folder has crowbar.yml, rebar.yml or barclamp.yaml, barclamps/*.yml, and script/roles/ROLE/*.sh for roles of jig script. The daemon
reads the scripts there when it runs the roles: the folder must lie on its machine. A packed one is unpacked to --to first.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			var made []object
			var rows [][]string
			for _, file := range args {
				documents, err := barclampDocuments(cmd, file, to)
				if err != nil {
					return err
				}
				for _, d := range documents {
					var o object
					if err := c.Import(cmd.Context(), d, &o); err != nil {
						return err
					}
					made, rows = append(made, o), append(rows, []string{str(o["name"]), str(o["version"]), str(o["description"])})
				}
			}
			return a.print(cmd.OutOrStdout(), made, "NAME\tVERSION\tDESCRIPTION", rows)
		}}
	cmd.Flags().StringVar(&to, "to", "/opt/opencrowbar", "folder below which a packed one is unpacked")
	return cmd
}

// barclampDocuments is what is to be imported for one argument.
func barclampDocuments(cmd *cobra.Command, file, to string) ([]object, error) {
	if strings.HasSuffix(file, ".tgz") || strings.HasSuffix(file, ".tar.gz") {
		dir := filepath.Join(to, strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".tgz"), ".tar.gz"))
		if err := unpack(file, dir); err != nil {
			return nil, fmt.Errorf("unpack %s: %w", file, err)
		}
		file = dir
	}
	if i, err := os.Stat(file); err == nil && i.IsDir() {
		return folderDocuments(file)
	}
	b, err := readFile(cmd, file)
	var document object
	if err == nil {
		err = yaml.Unmarshal(b, &document)
	}
	if err != nil {
		return nil, crowbar.Errorf(crowbar.Invalid, "%s: %w", file, err)
	}
	if said, ok := document["barclamp"].(object); ok && said["source_path"] == nil {
		said["source_path"] = file
	}
	return []object{document}, nil
}

// folderDocuments is the root of a folder and its children, with the folder as the place of their scripts.
func folderDocuments(dir string) ([]object, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	var files []barclamp.File
	for _, pattern := range []string{"barclamp.yaml", "crowbar.yml", "rebar.yml", "barclamps/*.yml"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range found {
			b, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			files = append(files, barclamp.File{Path: name, Data: b})
		}
	}
	if len(files) == 0 {
		return nil, crowbar.Errorf(crowbar.NotFound, "%s has no barclamp.yaml, crowbar.yml or rebar.yml", dir)
	}
	all, err := barclamp.Folder(files...)
	if err != nil {
		return nil, err
	}
	var out []object
	for _, c := range all {
		if said, ok := c.Barclamp.Document["barclamp"].(crowbar.Data); ok {
			said["source_path"] = dir
		}
		out = append(out, c.Barclamp.Document)
	}
	return out, nil
}

// unpack unpacks files and folders of an archive below dir, and nothing outside of it.
func unpack(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		name := filepath.Clean(h.Name)
		if !slices.Contains([]byte{tar.TypeReg, tar.TypeDir}, h.Typeflag) || !filepath.IsLocal(name) {
			return crowbar.Errorf(crowbar.Invalid, "%s is no file or folder below the barclamp's: pack it without", h.Name)
		}
		if h.Typeflag == tar.TypeDir {
			if err := root.MkdirAll(name, 0o755); err != nil {
				return err
			}
			continue
		}
		if err := unpackOne(root, name, os.FileMode(h.Mode)&0o777, t); err != nil {
			return err
		}
	}
}

func unpackOne(root *os.Root, name string, mode os.FileMode, from io.Reader) error {
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
