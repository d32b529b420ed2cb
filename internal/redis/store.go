// Package redis keeps in a Redis server what several replicas of one server share: claims, small values that change, and
// answers on their way from one replica to another.
package redis

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// DefaultPrefix begins every key when Options.Prefix is empty.
const DefaultPrefix = "scnet-mcp:"

const (
	dialTimeout = 2 * time.Second
	ioTimeout   = 2 * time.Second // of a read or a write
	idleTimeout = time.Minute     // after which a connection that nobody used is closed

	statePool = 16
	mailPool  = 64 // connections that wait for messages

	// maxUpdates bounds how often Update tries when others change the same key.
	maxUpdates = 100
	// maxUpdatePause bounds the random pause between two of these.
	maxUpdatePause = 20 * time.Millisecond
)

// PrefixOf returns a prefix that depends on the key of the servers that share a Store. It keeps servers with different keys
// apart on one Redis: a caller of the same name is somebody else there.
func PrefixOf(key []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("redis prefix"))
	return fmt.Sprintf("%s%x:", DefaultPrefix, mac.Sum(nil)[:4])
}

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
	state  *redis.Pool
	// mail has connections of its own, because those that wait for messages are held for long.
	mail *redis.Pool
}

// Open returns a Store. It connects when it is first used; Ping tells whether it can. The error says what is wrong with the
// options.
func Open(options Options) (*Store, error) {
	server, err := parseURL(options.URL)
	if err != nil {
		return nil, err
	}
	s := &Store{prefix: options.Prefix}
	s.state, s.mail = server.pool(options.Password, statePool), server.pool(options.Password, mailPool)
	if s.prefix == "" {
		s.prefix = DefaultPrefix
	}
	return s, nil
}

func (a address) pool(password string, size int) *redis.Pool {
	options := []redis.DialOption{
		redis.DialConnectTimeout(dialTimeout), redis.DialReadTimeout(ioTimeout), redis.DialWriteTimeout(ioTimeout),
		redis.DialTLSHandshakeTimeout(dialTimeout),
		redis.DialUsername(a.user), redis.DialPassword(password), redis.DialDatabase(a.database),
		redis.DialUseTLS(a.tls != nil), redis.DialTLSConfig(a.tls),
	}
	return &redis.Pool{
		MaxActive: size, MaxIdle: size, Wait: true, IdleTimeout: idleTimeout,
		DialContext: func(ctx context.Context) (redis.Conn, error) {
			return redis.DialContext(ctx, "tcp", a.hostPort, options...)
		},
	}
}

// Close ends all connections, those in use when they are given back.
func (s *Store) Close() error { return errors.Join(s.state.Close(), s.mail.Close()) }

// Ping returns an error, with the fix where there is one, unless the Redis server answers.
func (s *Store) Ping(ctx context.Context) error {
	_, err := s.twice(ctx, "PING")
	if isAuthError(err) {
		return fmt.Errorf("redis does not accept the user or the password; set %[1]s or %[1]s_FILE: %[2]w", passwordVariable, err)
	}
	return fault(err)
}

// isAuthError recognizes the answers of Redis to a wrong password, to a missing one, and to one that it does not use.
func isAuthError(err error) bool {
	var answer redis.Error
	if !errors.As(err, &answer) {
		return false
	}
	text := string(answer)
	return strings.HasPrefix(text, "WRONGPASS") || strings.HasPrefix(text, "ERR invalid password") ||
		strings.Contains(text, "AUTH")
}

// Claim claims key until then. If several processes claim a key, one of them wins and gets true. A claim that would end at
// once is not made. After an error, the key may nevertheless be claimed.
func (s *Store) Claim(ctx context.Context, key string, until time.Time) (bool, error) {
	lifetime := time.Until(until)
	if lifetime < time.Millisecond { // Redis would refuse it
		return false, nil
	}
	key, mine := s.prefix+key, rand.Text()
	reply, err := s.twice(ctx, "SET", key, mine, "NX", "PX", lifetime.Milliseconds())
	if err != nil {
		return false, fault(err)
	}
	if reply != nil {
		return true, nil
	}
	// The answer to a first try may have been lost.
	holder, err := redis.String(s.twice(ctx, "GET", key))
	return holder == mine, fault(nilAsNone(err))
}

// Claimed reports whether key is claimed now.
func (s *Store) Claimed(ctx context.Context, key string) (bool, error) {
	n, err := redis.Int64(s.twice(ctx, "EXISTS", s.prefix+key))
	return n > 0, fault(err)
}

// Epoch names what Redis remembers, and says since when, by the clock of the replica that found it empty. Redis keeps it for
// ever, and loses it together with every claim.
func (s *Store) Epoch(ctx context.Context) (id string, began time.Time, err error) {
	key := s.prefix + "epoch"
	kept, err := redis.String(s.twice(ctx, "GET", key))
	if errors.Is(err, redis.ErrNil) {
		fresh := fmt.Sprintf("%s %d", rand.Text(), time.Now().UnixMilli())
		if _, err = s.twice(ctx, "SET", key, fresh, "NX"); err == nil { // another replica may have been faster
			kept, err = redis.String(s.twice(ctx, "GET", key))
		}
	}
	if err != nil {
		return "", time.Time{}, fault(err)
	}
	id, millis, _ := strings.Cut(kept, " ")
	at, err := strconv.ParseInt(millis, 10, 64)
	if err != nil || id == "" {
		return "", time.Time{}, fault(errors.New("the key " + key + " does not hold an epoch"))
	}
	return id, time.UnixMilli(at), nil
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
	for range maxUpdates {
		replaced, err := s.update(ctx, s.prefix+key, ttl, change)
		if replaced || err != nil {
			return err
		}
		if err := pause(ctx, mathrand.N(maxUpdatePause)); err != nil {
			return err
		}
	}
	return errors.New("the shared state was changed by others at the same time, again and again")
}

// update makes one try. replaced is false when another update came in between. The writing command is sent only once:
// repeated without its WATCH, it could undo another replica's update.
func (s *Store) update(
	ctx context.Context, key string, ttl time.Duration, change func(old []byte) (new []byte, err error),
) (replaced bool, err error) {
	conn, err := s.watch(ctx, key)
	if err != nil {
		return false, fault(err)
	}
	defer func() { _ = conn.Close() }() // also ends the WATCH
	old, err := redis.Bytes(redis.DoContext(conn, ctx, "GET", key))
	if err := nilAsNone(err); err != nil {
		return false, fault(err)
	}
	value, err := change(old)
	if err != nil {
		return false, err
	}
	write := []any{"SET", key, value, "PX", ttl.Milliseconds()}
	if len(value) == 0 {
		write = []any{"DEL", key}
	}
	answer, err := transact(ctx, conn, write)
	return answer != nil, fault(err)
}

// watch returns a connection that watches key. An old connection may have died; then a second one does it.
func (s *Store) watch(ctx context.Context, key string) (redis.Conn, error) {
	var failure error
	for range 2 {
		conn, err := s.state.GetContext(ctx)
		if err == nil {
			if _, err = redis.DoContext(conn, ctx, "WATCH", key); err == nil {
				return conn, nil
			}
			_ = conn.Close()
		}
		if failure = err; ctx.Err() != nil || isAuthError(err) {
			break
		}
	}
	return nil, failure
}

// transact does commands as one step, and returns nil when what was watched has changed.
func transact(ctx context.Context, conn redis.Conn, commands ...[]any) (answer any, err error) {
	if err := conn.Send("MULTI"); err != nil {
		return nil, err
	}
	for _, c := range commands {
		name, _ := c[0].(string) // the names of commands stand in this package
		if err := conn.Send(name, c[1:]...); err != nil {
			return nil, err
		}
	}
	return redis.DoContext(conn, ctx, "EXEC")
}

// twice does what may be repeated once more when it failed: the connection may have been an old one.
func (s *Store) twice(ctx context.Context, command string, arguments ...any) (reply any, err error) {
	for range 2 {
		if reply, err = s.do(ctx, command, arguments...); err == nil || ctx.Err() != nil || isAuthError(err) {
			break
		}
	}
	return reply, err
}

func (s *Store) do(ctx context.Context, command string, arguments ...any) (any, error) {
	conn, err := s.state.GetContext(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return redis.DoContext(conn, ctx, command, arguments...)
}

// nilAsNone takes a key that does not exist for no error.
func nilAsNone(err error) error {
	if errors.Is(err, redis.ErrNil) {
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
