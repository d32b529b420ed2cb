package oauth

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	refreshEvery = 5 * time.Minute  // a key that the issuer withdraws is accepted for so long
	retryEvery   = 30 * time.Second // while the issuer is out of reach
	// fetchPause is between two fetches for tokens whose key is not known: anybody can send such tokens.
	fetchPause = 10 * time.Second
	// keysLast is how long known keys are used while the issuer is out of reach. What it withdraws meanwhile is not known.
	keysLast = time.Hour

	minRSA = 2048 // bits
)

// keyring holds the keys of an issuer, and fetches them again when they are old or when a token names another one.
type keyring struct {
	source *source
	now    func() time.Time

	mu      sync.Mutex
	keys    []jose.JSONWebKey
	fetched time.Time     // when keys were
	tried   time.Time     // when the last fetch began
	cause   error         // why it failed
	under   chan struct{} // closed when the fetch under way has ended; nil: none is
}

// find returns the key that a token names. A token may name none if only one key fits its algorithm.
func (k *keyring) find(ctx context.Context, id, algorithm string) (any, error) {
	if !k.state().Usable {
		k.fetchIfDue(ctx)
	}
	if state := k.state(); !state.Usable {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, state.Cause)
	}
	key, found := k.pick(id, algorithm)
	if !found {
		k.fetchIfDue(ctx) // the issuer may have a new key
		key, found = k.pick(id, algorithm)
	}
	if !found {
		return nil, invalid("is signed with a key that the authorization server does not publish")
	}
	return key, nil
}

func (k *keyring) pick(id, algorithm string) (key any, found bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, one := range k.keys {
		if id != "" && one.KeyID != id || !fits(one, algorithm) {
			continue
		}
		if found { // two keys, and nothing says which
			return nil, false
		}
		key, found = one.Key, true
	}
	return key, found
}

// fits reports whether a key is for signatures with an algorithm.
func fits(key jose.JSONWebKey, algorithm string) bool {
	if key.Use != "" && key.Use != "sig" || key.Algorithm != "" && key.Algorithm != algorithm {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return (algorithm[:2] == "RS" || algorithm[:2] == "PS") && public.N.BitLen() >= minRSA
	case *ecdsa.PublicKey:
		return map[string]elliptic.Curve{
			"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521(),
		}[algorithm] == public.Curve
	case ed25519.PublicKey:
		return algorithm == string(jose.EdDSA)
	}
	return false // neither a private key nor a symmetric one
}

func (k *keyring) state() State {
	k.mu.Lock()
	defer k.mu.Unlock()
	until := k.fetched.Add(keysLast)
	s := State{Usable: !k.fetched.IsZero() && k.now().Before(until), Cause: k.cause}
	if s.Cause == nil && !s.Usable {
		s.Cause = errNotAsked
	}
	if s.Usable && s.Cause != nil {
		s.Until = until
	}
	return s
}

var errNotAsked = errors.New("they have not been fetched yet, or not for a long time")

// fetchIfDue fetches the keys, unless that was tried a moment ago. It waits for a fetch that is under way.
func (k *keyring) fetchIfDue(ctx context.Context) {
	k.mu.Lock()
	due := k.under != nil || k.tried.IsZero() || k.now().Sub(k.tried) >= fetchPause
	k.mu.Unlock()
	if due {
		k.fetch(ctx)
	}
}

// fetch fetches the keys; of several at once, one does it for all. It goes on for the others when ctx ends.
func (k *keyring) fetch(ctx context.Context) {
	k.mu.Lock()
	if k.under == nil {
		under := make(chan struct{})
		k.under, k.tried = under, k.now()
		go func() {
			defer close(under)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
			defer cancel()
			keys, err := k.source.keys(ctx)
			k.mu.Lock()
			defer k.mu.Unlock()
			k.under, k.cause = nil, err
			if err == nil {
				k.keys, k.fetched = keys, k.now()
			}
		}()
	}
	under := k.under
	k.mu.Unlock()
	select {
	case <-under:
	case <-ctx.Done():
	}
}

// run fetches the keys again and again until ctx ends.
func (k *keyring) run(ctx context.Context, changed func(error)) {
	failing := false
	for {
		k.fetch(ctx)
		cause := k.state().Cause
		if ctx.Err() == nil && failing != (cause != nil) {
			failing = cause != nil
			changed(cause)
		}
		pause := refreshEvery
		if failing {
			pause = retryEvery
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
