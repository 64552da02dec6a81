package backup

import (
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Take copies a backup that lies somewhere else into a folder of backups, whole or not at all. One that is there already stays.
func Take(from, dir string) error {
	one, err := Read(from)
	if err != nil {
		return err
	}
	if err := Whole(from, one); err != nil {
		return err
	}
	to := filepath.Join(dir, one.Name)
	if _, err := Read(to); err == nil {
		return nil
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.RemoveAll(to+part), os.Mkdir(to+part, 0o700)); err != nil {
		return err
	}
	defer os.RemoveAll(to + part)
	names := []string{manifest}
	for _, f := range one.Files {
		names = append(names, f.Name)
	}
	for _, name := range names {
		if err := copyFile(filepath.Join(from, name), filepath.Join(to+part, name)); err != nil {
			return err
		}
	}
	return errors.Join(flush(to+part), os.Rename(to+part, to), flush(dir))
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}
