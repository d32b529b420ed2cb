package redis

import (
	"context"
	"errors"
	"time"

	"github.com/gomodule/redigo/redis"
)

const (
	// mailLifetime is how long a message waits to be received.
	mailLifetime = 60 * time.Second
	// popWait is how long one look into a mailbox waits, and so how late Receive may notice that its context has ended. Redis
	// counts in whole seconds.
	popWait = time.Second
)

func (s *Store) mailbox(address string) string { return s.prefix + "mail:" + address }

// Send puts message into the mailbox of address, where it waits for 60 seconds after the last one was sent. It is sent once:
// after an error it may have arrived or not.
func (s *Store) Send(ctx context.Context, address string, message []byte) error {
	conn, err := s.state.GetContext(ctx)
	if err != nil {
		return fault(err)
	}
	defer func() { _ = conn.Close() }()
	key := s.mailbox(address)
	_, err = transact(ctx, conn, []any{"RPUSH", key, message}, []any{"PEXPIRE", key, mailLifetime.Milliseconds()})
	return fault(err)
}

// Receive waits for the oldest message to address and takes it, until ctx ends, which it may notice a second late. It returns
// every message that it took, even if ctx has ended meanwhile. One of several receivers gets a message. A message is lost
// only with the connection that carries it.
func (s *Store) Receive(ctx context.Context, address string) ([]byte, error) {
	for ctx.Err() == nil {
		message, err := s.pop(s.mailbox(address))
		switch {
		case err == nil:
			return message, nil
		case errors.Is(err, redis.ErrNil), errors.Is(err, context.DeadlineExceeded): // nothing yet, or it is the turn of others
		default:
			return nil, fault(err)
		}
	}
	return nil, ctx.Err()
}

// pop knows no context: one that is cut off would lose a message that was just taken.
func (s *Store) pop(key string) ([]byte, error) {
	turn, cancel := context.WithTimeout(context.Background(), popWait+dialTimeout)
	defer cancel()
	conn, err := s.mail.GetContext(turn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	popped, err := redis.ByteSlices(redis.DoWithTimeout(conn, popWait+ioTimeout, "BLPOP", key, int(popWait/time.Second)))
	if err != nil {
		return nil, err
	}
	return popped[1], nil // after the key
}
