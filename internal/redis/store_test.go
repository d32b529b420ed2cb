package redis_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/scnet-mcp/scnet-mcp/internal/redis"
)

func TestPassword(t *testing.T) {
	server := simulated(t)
	server.RequireUserAuth("mcp", "hunter2")
	good := "redis://mcp@" + server.Addr() + "/3"
	if err := open(t, redis.Options{URL: good, Password: "hunter2"}).Ping(t.Context()); err != nil {
		t.Error(err)
	}
	for name, options := range map[string]redis.Options{
		"wrong password": {URL: good, Password: "swordfish"},
		"wrong user":     {URL: "redis://other@" + server.Addr(), Password: "hunter2"},
		"none":           {URL: "redis://" + server.Addr()},
	} {
		err := open(t, options).Ping(t.Context())
		if err == nil || !strings.Contains(err.Error(), "SCNET_MCP_STATE_PASSWORD_FILE") {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "swordfish") {
			t.Errorf("%s: the password is in %v", name, err)
		}
	}
}

// A certificate that nobody vouches for must not get the password.
func TestCertificateIsChecked(t *testing.T) {
	https := httptest.NewTLSServer(nil)
	defer https.Close()
	server := miniredis.NewMiniRedis()
	if err := server.StartTLS(&tls.Config{Certificates: https.TLS.Certificates, MinVersion: tls.VersionTLS12}); err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	err := open(t, redis.Options{URL: "rediss://" + server.Addr()}).Ping(t.Context())
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v", err)
	}
	if server.CommandCount() != 0 {
		t.Errorf("%d commands were sent", server.CommandCount())
	}
}

// lossy stands between a client and a Redis. It swallows the answer to the first request that holds word, and ends that
// connection.
type lossy struct {
	net.Listener
	server string
	word   []byte
	reply  []byte // how the reply begins that is lost; others of the same request may come before it
	lost   atomic.Int32
	seen   atomic.Int32 // requests that hold word
	all    sync.WaitGroup
}

func newLossy(t *testing.T, server, word, reply string) *lossy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lossy{Listener: listener, server: server, word: []byte(word), reply: []byte(reply)}
	l.all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			l.all.Go(func() { l.carry(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		l.all.Wait()
	})
	return l
}

func (l *lossy) carry(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", l.server)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	request, answer := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		n, err := client.Read(request)
		if err != nil {
			return
		}
		if _, err := server.Write(request[:n]); err != nil {
			return
		}
		m, err := server.Read(answer) // requests come one at a time, and answers are short
		if err != nil {
			return
		}
		if bytes.Contains(request[:n], l.word) && l.seen.Add(1) == 1 {
			for got := answer[:m]; !bytes.Contains(got, l.reply); got = answer[:m] { // until then it may not have been done
				if m, err = server.Read(answer); err != nil {
					return
				}
			}
			l.lost.Add(1)
			return
		}
		if _, err := io.Copy(client, bytes.NewReader(answer[:m])); err != nil {
			return
		}
	}
}

// A claim whose answer is lost is made again, and is still the claimer's.
func TestClaimWhoseAnswerIsLost(t *testing.T) {
	server := simulated(t)
	way := newLossy(t, server.Addr(), "\r\nNX\r\n", "+OK")
	store := open(t, redis.Options{URL: "redis://" + way.Addr().String()})
	if !claim(t, store, "k", time.Now().Add(time.Hour)) || way.lost.Load() != 1 {
		t.Errorf("the claim did not win; %d answers were lost", way.lost.Load())
	}
	if claim(t, store, "k", time.Now().Add(time.Hour)) {
		t.Error("a second claim won")
	}
}

// An update whose answer is lost is an error, and is not made again: others may have updated since.
func TestUpdateWhoseAnswerIsLost(t *testing.T) {
	server := simulated(t)
	way := newLossy(t, server.Addr(), "\r\nEXEC\r\n", "*")
	store := open(t, redis.Options{URL: "redis://" + way.Addr().String()})
	calls := 0
	err := store.Update(t.Context(), "k", time.Hour, func(old []byte) ([]byte, error) {
		calls++
		return append(bytes.Clone(old), '+'), nil
	})
	if err == nil || calls != 1 || way.seen.Load() != 1 {
		t.Errorf("%v after %d calls and %d transactions", err, calls, way.seen.Load())
	}
	if got := value(t, store, "k"); got != "+" {
		t.Errorf("kept %q", got)
	}
}
