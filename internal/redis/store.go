// Package redis keeps in a Redis server what several replicas of one server share: claims, small values that change, and
// answers on their way from one replica to another.
package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultPrefix begins every key when Options.Prefix is empty.
const DefaultPrefix = "scnet-mcp:"

const (
	dialTimeout = 2 * time.Second
	ioTimeout   = 2 * time.Second // of a read or a write
	bufferSize  = 4 << 10         // of a connection, each way: requests and answers are small

	statePool = 16
	mailPool  = 64 // connections that wait for messages

	// maxUpdates bounds how often Update tries when others change the same key.
	maxUpdates = 100
	// maxUpdatePause bounds the random pause between two of these.
	maxUpdatePause = 20 * time.Millisecond
)

// Options configure a Store.
type Options struct {
	// URL is redis://[USER@]HOST[:PORT][/DATABASE], or rediss:// for TLS with a certificate that the system trusts.
	URL string
	// Password is never part of an error.
	Password string
	// Prefix begins every key; default: DefaultPrefix.
	Prefix string
}

// Store is what replicas share. It is safe for concurrent use. Its clock and that of the other replicas must agree.
type Store struct {
	prefix string
	// state repeats nothing by itself: an EXEC that is sent again without its WATCH could undo another replica's update.
	state *redis.Client
	// mail has connections of its own, because those that wait for messages are held for long.
	mail *redis.Client
}

// Open returns a Store. It connects when it is first used; Ping tells whether it can. The error says what is wrong with the
// options.
func Open(options Options) (*Store, error) {
	base, err := parseURL(options.URL)
	if err != nil {
		return nil, err
	}
	logging.Disable() // it would write to the process's own streams
	base.Password = options.Password
	base.Protocol = 2 // no messages besides answers
	base.DisableIdentity = true
	base.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	base.DialTimeout, base.ReadTimeout, base.WriteTimeout = dialTimeout, ioTimeout, ioTimeout
	base.DialerRetries = 1
	base.ContextTimeoutEnabled = true
	base.ReadBufferSize, base.WriteBufferSize = bufferSize, bufferSize
	base.PipelinePoolSize = -1

	state, mail := *base, *base
	state.PoolSize, state.MaxRetries = statePool, -1
	mail.PoolSize, mail.MaxRetries, mail.PoolTimeout = mailPool, 1, popWait
	s := &Store{prefix: options.Prefix, state: redis.NewClient(&state), mail: redis.NewClient(&mail)}
	if s.prefix == "" {
		s.prefix = DefaultPrefix
	}
	return s, nil
}

// Close ends all connections. Calls that wait return an error.
func (s *Store) Close() error { return errors.Join(s.state.Close(), s.mail.Close()) }

// Ping returns an error, with a mend where there is one, unless the Redis server answers.
func (s *Store) Ping(ctx context.Context) error {
	err := s.twice(ctx, func() error { return s.state.Ping(ctx).Err() })
	if redis.IsAuthError(err) {
		return fmt.Errorf("redis does not accept the user or the password; set %[1]s or %[1]s_FILE: %[2]w", passwordVariable, err)
	}
	return fault(err)
}

// Claim claims key until then. Of several claims of one key one wins and gets true. A claim that would be over at once is
// not made. After an error the key may be claimed all the same.
func (s *Store) Claim(ctx context.Context, key string, until time.Time) (bool, error) {
	lifetime := time.Until(until)
	if lifetime < time.Millisecond { // Redis would keep it for ever
		return false, nil
	}
	key, mine := s.prefix+key, rand.Text()
	won := false
	err := s.twice(ctx, func() (err error) {
		if won, err = s.state.SetNX(ctx, key, mine, lifetime).Result(); won || err != nil {
			return err
		}
		// The answer to a first try may have been lost.
		holder, err := s.state.Get(ctx, key).Result()
		won = holder == mine
		return nilAsNone(err)
	})
	return won, fault(err)
}

// Claimed reports whether key is claimed now.
func (s *Store) Claimed(ctx context.Context, key string) (bool, error) {
	var n int64
	err := s.twice(ctx, func() (err error) {
		n, err = s.state.Exists(ctx, s.prefix+key).Result()
		return err
	})
	return n > 0, fault(err)
}

// Update replaces what is kept under key by what change makes of it, as one step, and keeps it for ttl, which must be
// positive. Old is empty when nothing is kept; an empty new forgets the key. change may be called again when another update
// came in between; its error ends the update and nothing is replaced. After any other error the update may have happened.
func (s *Store) Update(
	ctx context.Context, key string, ttl time.Duration, change func(old []byte) (new []byte, err error),
) error {
	if ttl < time.Millisecond {
		return fmt.Errorf("a value cannot be kept for %s", ttl)
	}
	key = s.prefix + key
	for range maxUpdates {
		var refused error
		err := s.state.Watch(ctx, func(tx *redis.Tx) error {
			old, err := tx.Get(ctx, key).Bytes()
			if err := nilAsNone(err); err != nil {
				return err
			}
			value, err := change(old)
			if err != nil {
				refused = err
				return err
			}
			return replace(ctx, tx, key, value, ttl)
		}, key)
		switch {
		case refused != nil:
			return refused
		case !errors.Is(err, redis.TxFailedErr):
			return fault(err)
		}
		if err := pause(ctx, mathrand.N(maxUpdatePause)); err != nil {
			return err
		}
	}
	return errors.New("the shared state was changed by others at the same time, again and again")
}

// replace fails when what was watched has changed.
func replace(ctx context.Context, tx *redis.Tx, key string, value []byte, ttl time.Duration) error {
	_, err := tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
		if len(value) == 0 {
			return p.Del(ctx, key).Err()
		}
		return p.Set(ctx, key, value, ttl).Err()
	})
	return err
}

// twice does what may be repeated once more when it failed: the connection may have been an old one.
func (s *Store) twice(ctx context.Context, do func() error) error {
	err := do()
	if err == nil || ctx.Err() != nil || redis.IsAuthError(err) {
		return err
	}
	return do()
}

// nilAsNone takes a key that does not exist for no error.
func nilAsNone(err error) error {
	if errors.Is(err, redis.Nil) {
		return nil
	}
	return err
}

func fault(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the shared state in Redis cannot be used: %w", err)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
