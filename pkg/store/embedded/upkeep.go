package embedded

import (
	"context"
	"fmt"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// worth is how much must lie empty in etcd's file, besides half of it, before it is written anew.
const worth = 64 << 20

// Upkeep looks at the space that the state takes. Where most of etcd's file is empty, the file is written anew, which stops
// everything for about a second each 300 MB, and so is done only when it is quiet. Where the quota is used up, history goes at
// once, and etcd is let go on if that has helped.
func (s *Server) Upkeep(ctx context.Context, quiet bool) error {
	is, err := s.client.Status(ctx, "")
	if err != nil {
		return fmt.Errorf("etcd's status: %w", err)
	}
	full, err := s.client.AlarmList(ctx)
	if err != nil {
		return fmt.Errorf("etcd's alarms: %w", err)
	}
	for _, a := range full.Alarms {
		if a.Alarm == etcdserverpb.AlarmType_NOSPACE {
			return s.relieve(ctx, is.Header.Revision, (*clientv3.AlarmMember)(a))
		}
	}
	if is.DbSizeInUse > s.quota/5*4 {
		s.log.Warn("etcd: most of the space for the state is used: keep fewer runs (--keep-runs, --keep-runs-for)", "bytes", is.DbSizeInUse, "of", s.quota)
	}
	empty := is.DbSize - is.DbSizeInUse
	if !quiet || empty < s.worth || empty < is.DbSize/2 {
		return nil
	}
	if err := s.etcd.Server.Backend().Defrag(); err != nil {
		return fmt.Errorf("write etcd's file anew: %w", err)
	}
	s.log.Info("etcd: its file was written anew", "bytes_given_back", empty)
	return nil
}

// relieve makes room in a state that has used up its quota.
func (s *Server) relieve(ctx context.Context, rev int64, alarm *clientv3.AlarmMember) error {
	if _, err := s.client.Compact(ctx, rev, clientv3.WithCompactPhysical()); err != nil {
		s.log.Debug("etcd: compact", "error", err) // it has been, up to here
	}
	if err := s.etcd.Server.Backend().Defrag(); err != nil {
		return fmt.Errorf("write etcd's file anew: %w", err)
	}
	is, err := s.client.Status(ctx, "")
	if err != nil {
		return fmt.Errorf("etcd's status: %w", err)
	}
	if is.DbSize > s.quota/5*4 {
		s.log.Error("etcd: the space for the state is used up, and its history is not what fills it: nothing can be written", "bytes", is.DbSize, "of", s.quota)
		return nil
	}
	if _, err := s.client.AlarmDisarm(ctx, alarm); err != nil {
		return fmt.Errorf("let etcd go on: %w", err)
	}
	s.log.Warn("etcd: the space for the state was used up; its history was dropped, and it goes on", "bytes", is.DbSize, "of", s.quota)
	return nil
}
