package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/kubeclamp/kubeclamp/pkg/crowbar"
)

// settled is how old an acknowledged write is that every running member has.
const settled = time.Second

// loseDisk wipes a node with a member of etcd, and has it replaced by one verb.
func (s *trial) loseDisk(ctx context.Context) error {
	if err := s.Well(ctx, nodes...); err != nil {
		return err
	}
	victim := nodes[s.chance.IntN(len(nodes))]
	acked := s.load.Acknowledged()
	if _, err := s.Lab(ctx, "reinstall", victim); err != nil {
		return err
	}
	if err := s.boots(ctx, victim); err != nil {
		return err
	}
	began := time.Now()
	if _, err := s.CLI(ctx, nil, "nodes", "redeploy", victim); err != nil {
		return err
	}
	if _, err := s.CLI(ctx, nil, "converge", "--wait-only"); err != nil {
		return errors.Join(err, s.tell(ctx))
	}
	took := time.Since(began)
	if err := s.serving(ctx, len(nodes)); err != nil {
		return err
	}
	if err := s.kept(ctx, acked); err != nil {
		return err
	}
	fmt.Printf("disk of %s lost: all well %.1f s after `kubeclamp nodes redeploy %s`; of %d objects acknowledged before 0 lost\n", victim, took.Seconds(), victim, len(acked))
	return nil
}

// loseTwo wipes two of three members at once; the third has all that was acknowledged.
func (s *trial) loseTwo(ctx context.Context) error { return s.twoGone(ctx, true) }

// sleepTwo cuts two of three members off for as long as the recovery takes; then they come back with what they had, and must not
// take anything that anybody is told was written.
func (s *trial) sleepTwo(ctx context.Context) error { return s.twoGone(ctx, false) }

func (s *trial) twoGone(ctx context.Context, wipe bool) error {
	if err := s.Well(ctx, nodes...); err != nil {
		return err
	}
	order := s.chance.Perm(len(nodes))
	lost, left := []string{nodes[order[0]], nodes[order[1]]}, nodes[order[2]]
	acked := s.load.Acknowledged()
	if err := pause(ctx, settled); err != nil {
		return err
	}
	if _, err := s.Lab(ctx, "power", append([]string{"off"}, lost...)...); err != nil {
		return err
	}
	how := "away"
	if wipe {
		how = "lost with their disks"
		if _, err := s.Lab(ctx, "reinstall", lost...); err != nil {
			return err
		}
	}
	began := time.Now()
	out, err := s.CLI(ctx, nil, "etcd", "recover", "--yes")
	if err != nil {
		return errors.Join(err, s.tell(ctx))
	}
	if _, err := s.wrote(ctx, time.Minute); err != nil {
		return errors.Join(fmt.Errorf("%w\n%s", err, out), s.tell(ctx))
	}
	back := time.Since(began)
	if err := s.kept(ctx, acked); err != nil {
		return err
	}
	if !wipe {
		if _, err := s.Lab(ctx, "heal"); err != nil {
			return err
		}
	}
	for _, n := range lost { // they may have been off when it was looked
		if err := s.boots(ctx, n); err != nil {
			return err
		}
		if _, err := s.CLI(ctx, nil, "nodes", "update", n, "--alive"); err != nil {
			return err
		}
	}
	if !wipe {
		acked = s.load.Acknowledged() // also what was written while they came back
	}
	if _, err := s.CLI(ctx, nil, "converge", "--wait-only"); err != nil {
		return errors.Join(err, s.tell(ctx))
	}
	took := time.Since(began)
	if err := errors.Join(s.serving(ctx, len(nodes)), s.kept(ctx, acked)); err != nil {
		return err
	}
	fmt.Printf("%s and %s %s: every program was answered %.1f s after `kubeclamp etcd recover` began, from %s, three members serve again after %.1f s; of %d objects acknowledged before 0 lost\n", lost[0], lost[1], how, back.Seconds(), left, took.Seconds(), len(acked))
	return nil
}

// loseAll makes a backup while programs write, wipes all nodes and the daemon, and brings everything back.
func (s *trial) loseAll(ctx context.Context) error {
	if err := s.Well(ctx, nodes...); err != nil {
		return err
	}
	acked := s.load.Acknowledged()
	s.load.Reset()
	text, err := s.CLI(ctx, nil, "backup", "create", "-o", "json")
	if err != nil {
		return err
	}
	var b crowbar.Backup
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	if _, err := s.CLI(ctx, nil, "backup", "verify", b.Name); err != nil {
		return err
	}
	if seen := s.load.Seen(); seen.Failed > 0 || seen.Writes == 0 {
		return fmt.Errorf("while the backup was made: %s; %v", seen, seen.Errors)
	}
	during := s.load.Seen()
	if err := s.killDaemon(); err != nil {
		return err
	}
	if _, err := s.Lab(ctx, "reinstall", nodes...); err != nil {
		return err
	}
	began := time.Now()
	if err := s.newDaemon(ctx, b.Name); err != nil {
		return err
	}
	for _, n := range nodes {
		if err := s.boots(ctx, n); err != nil {
			return err
		}
	}
	if _, err := s.CLI(ctx, nil, "restore", b.Name, "--yes"); err != nil {
		return errors.Join(err, s.tell(ctx))
	}
	took := time.Since(began)
	if _, err := s.wrote(ctx, time.Minute); err != nil {
		return errors.Join(err, s.tell(ctx))
	}
	if err := s.serving(ctx, len(nodes)); err != nil {
		return err
	}
	if err := s.kept(ctx, acked); err != nil {
		return err
	}
	fmt.Printf("backup of %d bytes under load (%s); all nodes and the daemon lost, and back after %.1f s; of %d objects acknowledged before the backup 0 lost\n", b.Bytes(), during, took.Seconds(), len(acked))
	return nil
}

// boots waits until a node answers.
func (s *trial) boots(ctx context.Context, node string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if _, err := s.SSH(ctx, node, "true"); err == nil {
			return nil
		} else if pause(ctx, 200*time.Millisecond) != nil {
			return fmt.Errorf("%s does not boot: %w", node, err)
		}
	}
}

// newDaemon gives the lab a daemon that has nothing but a backup and the key that opens its secrets.
func (s *trial) newDaemon(ctx context.Context, name string) error {
	data, old := filepath.Join(s.Dir, "daemon"), filepath.Join(s.Dir, "daemon.lost")
	if err := errors.Join(os.Rename(data, old), os.Mkdir(data, 0o700)); err != nil {
		return err
	}
	key, err := os.ReadFile(filepath.Join(old, "key"))
	if err == nil {
		err = os.WriteFile(filepath.Join(data, "key"), key, 0o600)
	}
	if err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "bin/kubeclampd", "restore", filepath.Join(old, "backups", name), "--data-dir", data).CombinedOutput()
	if err != nil {
		return fmt.Errorf("kubeclampd restore: %w: %s", err, out)
	}
	_, err = s.Lab(ctx, "daemon")
	return errors.Join(err, os.RemoveAll(old))
}

// serving is an error unless so many members of etcd serve, and no others are there.
func (s *trial) serving(ctx context.Context, want int) error {
	text, err := s.CLI(ctx, nil, "etcd", "status", "-o", "json")
	if err != nil {
		return err
	}
	var all []struct {
		Quorum bool `json:"quorum"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	n := 0
	for _, m := range all {
		if m.Quorum {
			n++
		}
	}
	if n != want || len(all) != want {
		return fmt.Errorf("%d members of etcd serve, want %d: %s", n, want, text)
	}
	return nil
}
