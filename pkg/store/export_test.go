package store

import "context"

// CutOff ends the store's watch, as a long partition does.
func CutOff(s *Store) { s.stop(); s.done.Wait() }

// FollowFrom takes the watch up again at a revision, until ctx ends.
func FollowFrom(ctx context.Context, s *Store, rev int64) { s.follow(ctx, rev) }
