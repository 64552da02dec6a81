package store

import (
	"context"
	"time"
)

// Members is how many members the etcd has that the state is in, and how many of them answer within a second.
func (s *Store) Members(ctx context.Context) (all, well int, err error) {
	list, err := s.kv.MemberList(ctx)
	if err != nil {
		return 0, 0, err
	}
	answers := make(chan bool, len(list.Members))
	for _, m := range list.Members {
		go func() {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			for _, at := range m.ClientURLs {
				if _, err := s.kv.Status(ctx, at); err == nil {
					answers <- true
					return
				}
			}
			answers <- false
		}()
	}
	for range list.Members {
		if <-answers {
			well++
		}
	}
	return len(list.Members), well, nil
}
