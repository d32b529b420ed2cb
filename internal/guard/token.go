package guard

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// TokenLifetime is how long a preview token can be used.
const TokenLifetime = 5 * time.Minute

// minKeyBytes is how long the key of Tokens is at least.
const minKeyBytes = 32

// The reasons for which a preview token is not accepted.
var (
	ErrTokenWrong   = errors.New("the preview_token is not one of this server's; it may have been mistyped or made up")
	ErrTokenExpired = errors.New("the preview_token has expired; it holds for 5 minutes")
	ErrTokenOther   = errors.New("the preview_token belongs to another call: tool, arguments, region or caller differ from the preview")
	ErrTokenState   = errors.New("a target has changed since the preview")
	ErrTokenUsed    = errors.New("the preview_token has been used; each can be used once")
	// ErrTokenUnchecked is wrapped with the State's error, which is for the log.
	ErrTokenUnchecked = errors.New("whether the preview_token was used cannot be checked now, because the state that the replicas " +
		"of this server share cannot be reached; try again later")
)

// Subject is what a preview was shown for. A token holds for exactly this.
type Subject struct {
	Tool      string
	Caller    string
	Region    string
	Arguments string // canonical form of the arguments, scripts as digest
	State     string // canonical form of every target as it was shown
}

// Tokens issues and redeems preview tokens. A token carries its expiry and keyed digests of its subject, so that every
// server with the same key can check it; that it is used once only is kept in a State. It is safe for concurrent use.
type Tokens struct {
	key   []byte
	state State
	burnt *Memory // what Burn was told here: a no holds even while the State cannot be reached
	now   func() time.Time
}

type nonce [5]byte

// The parts of a token, in this order. The digests are keyed with the nonce inside, so nobody without the key can search
// for another subject with the same digest, and the seal makes a forged token a guess of one in 2^64.
const (
	expiryBytes = 4
	digestBytes = 4 // one of the call, one of the state
	sealBytes   = 8
	tokenBytes  = expiryBytes + len(nonce{}) + 2*digestBytes + sealBytes
)

// encoding is lower-case so that a model repeats it reliably; it has neither padding nor look-alikes of one and zero.
var encoding = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// NewTokens returns Tokens with a key of at least 32 bytes, such as ReadKey's; nil makes a random one. It fails only for a
// shorter key. Servers that share the key must share the state, or a token can be used once at each of them.
func NewTokens(key []byte, state State, now func() time.Time) (*Tokens, error) {
	if key == nil {
		key = make([]byte, minKeyBytes)
		_, _ = rand.Read(key) // never fails
	}
	if len(key) < minKeyBytes {
		return nil, fmt.Errorf("the key for preview tokens has %d bytes; give at least %d random ones", len(key), minKeyBytes)
	}
	return &Tokens{key: key, state: state, burnt: NewMemory(now), now: now}, nil
}

// Issue returns a token for s and the time until which it can be used.
func (t *Tokens) Issue(s Subject) (token string, expires time.Time) {
	expires = t.now().Add(TokenLifetime).Truncate(time.Second)
	raw := make([]byte, 0, tokenBytes)
	raw = binary.BigEndian.AppendUint32(raw, uint32(expires.Unix()))
	var n nonce
	_, _ = rand.Read(n[:])
	raw = append(raw, n[:]...)
	raw = append(raw, t.callDigest(n, s)...)
	raw = append(raw, t.stateDigest(n, s)...)
	raw = append(raw, t.seal(raw)...)
	return encoding.EncodeToString(raw), expires
}

// Check returns nil when token holds for s and was not used, and an error that wraps one of the ErrToken… values otherwise.
func (t *Tokens) Check(ctx context.Context, token string, s Subject) error {
	n, _, err := t.open(token, s)
	if err != nil {
		return err
	}
	used, err := t.used(ctx, n)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrTokenUnchecked, err)
	case used:
		return ErrTokenUsed
	}
	return nil
}

func (t *Tokens) used(ctx context.Context, n nonce) (bool, error) {
	if used, err := t.burnt.Claimed(ctx, n.key()); used || err != nil {
		return used, err
	}
	return t.state.Claimed(ctx, n.key())
}

// Redeem is Check and marks the token as used. Of two callers at the same time one wins.
func (t *Tokens) Redeem(ctx context.Context, token string, s Subject) error {
	n, expires, err := t.open(token, s)
	if err != nil {
		return err
	}
	if burnt, _ := t.burnt.Claimed(ctx, n.key()); burnt { // never fails
		return ErrTokenUsed
	}
	won, err := t.state.Claim(ctx, n.key(), expires.Add(clockSkew))
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrTokenUnchecked, err)
	case !won:
		return ErrTokenUsed
	}
	return nil
}

// Burn makes token unusable whatever it was issued for, also after ctx has ended. A token that is not ours is ignored. With
// an error, other replicas may still accept it; this one does not.
func (t *Tokens) Burn(ctx context.Context, token string) error {
	n, expires, _, err := t.parse(token)
	if err != nil {
		return nil
	}
	ctx, until := context.WithoutCancel(ctx), expires.Add(clockSkew)
	_, _ = t.burnt.Claim(ctx, n.key(), until) // never fails
	if _, err := t.state.Claim(ctx, n.key(), until); err != nil {
		return fmt.Errorf("a preview_token could not be made unusable for all replicas: %w", err)
	}
	return nil
}

func (n nonce) key() string { return "token:" + hex.EncodeToString(n[:]) }

// TokenID names a token in logs without giving it away; "" for what is no token.
func TokenID(token string) string {
	raw, err := decode(token)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(raw[expiryBytes : expiryBytes+len(nonce{})])
}

func decode(token string) ([]byte, error) {
	// Models add spaces and capitals; neither can turn one token into another.
	raw, err := encoding.DecodeString(strings.ToLower(strings.TrimSpace(token)))
	if err != nil || len(raw) != tokenBytes || encoding.EncodeToString(raw) != strings.ToLower(strings.TrimSpace(token)) {
		return nil, ErrTokenWrong
	}
	return raw, nil
}

func (t *Tokens) parse(token string) (n nonce, expires time.Time, digests []byte, err error) {
	raw, err := decode(token)
	if err != nil {
		return n, expires, nil, err
	}
	body, seal := raw[:tokenBytes-sealBytes], raw[tokenBytes-sealBytes:]
	if !hmac.Equal(seal, t.seal(body)) {
		return n, expires, nil, ErrTokenWrong
	}
	copy(n[:], body[expiryBytes:])
	return n, time.Unix(int64(binary.BigEndian.Uint32(body)), 0), body[expiryBytes+len(n):], nil
}

func (t *Tokens) open(token string, s Subject) (nonce, time.Time, error) {
	n, expires, digests, err := t.parse(token)
	switch {
	case err != nil:
		return n, expires, err
	case t.now().After(expires):
		return n, expires, ErrTokenExpired
	case !hmac.Equal(digests[:digestBytes], t.callDigest(n, s)):
		return n, expires, ErrTokenOther
	case !hmac.Equal(digests[digestBytes:], t.stateDigest(n, s)):
		return n, expires, ErrTokenState
	}
	return n, expires, nil
}

func (t *Tokens) seal(body []byte) []byte { return t.mac("seal", string(body))[:sealBytes] }

func (t *Tokens) callDigest(n nonce, s Subject) []byte {
	return t.mac("call", string(n[:]), s.Tool, s.Caller, s.Region, s.Arguments)[:digestBytes]
}

func (t *Tokens) stateDigest(n nonce, s Subject) []byte {
	return t.mac("state", string(n[:]), s.State)[:digestBytes]
}

// mac is an HMAC over parts with their lengths, so that text cannot move from one part to the next.
func (t *Tokens) mac(parts ...string) []byte {
	h := hmac.New(sha256.New, t.key)
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
