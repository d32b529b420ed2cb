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
	"strings"
	"sync"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// TokenLifetime is how long a preview token can be used.
const TokenLifetime = 5 * time.Minute

// minKeyBytes is how long the key of Tokens is at least.
const minKeyBytes = 32

// The reasons for which a preview token is not accepted.
var (
	ErrTokenWrong   = lang.Errorf("the preview_token is not one of this server's; it may have been mistyped or made up")
	ErrTokenExpired = lang.Errorf("the preview_token has expired; it holds for 5 minutes")
	ErrTokenOther   = lang.Errorf("the preview_token belongs to another call: tool, arguments, region or caller differ from the preview")
	ErrTokenState   = lang.Errorf("a target has changed since the preview")
	ErrTokenUsed    = lang.Errorf("the preview_token has been used; each can be used once")
	ErrTokenKind    = lang.Errorf("the token was issued for something else: that of a preview does not answer a question, and that of " +
		"a question does not confirm a preview")
	ErrTokenOld = lang.Errorf("the preview_token is older than the memory of used tokens, because the server or the state that its " +
		"replicas share began anew")
	// ErrTokenUnchecked is wrapped with the State's error, which is for the log.
	ErrTokenUnchecked = lang.Errorf("whether the preview_token was used cannot be checked now, because the shared state cannot be " +
		"reached; try again later")
)

// Subject is what a preview was shown for. A token holds for exactly this.
type Subject struct {
	Tool      string
	Caller    string
	Region    string
	Arguments string // canonical form of the arguments, scripts as digest
	State     string // canonical form of every target as it was shown
}

// Tokens issues and redeems tokens: those of previews, and those of questions to a human, which do not stand in for each
// other. A token carries its expiry and keyed digests of its subject, so that every server with the same key can check it;
// that it is used once only is kept in a State, and in this process too, in case the State forgets. It is safe for
// concurrent use.
type Tokens struct {
	key   func(context.Context) ([]byte, error)
	state State
	spent *Memory // what was redeemed or burnt here, even while the State cannot be reached
	now   func() time.Time
	burns burns

	mu    sync.Mutex
	epoch string // of the State when it was last reached
}

type nonce [5]byte

// kind is what a token is for. The seal tells kinds apart.
type kind string

const (
	forPreview  kind = "preview"
	forQuestion kind = "question"
)

// The parts of a token, in this order. The digests are keyed with the nonce inside, so nobody without the key can search
// for another subject with the same digest, and the seal makes a forged token a guess of one in 2^63.
const (
	expiryBytes = 4
	digestBytes = 4 // one of the call and the epoch, one of the state
	sealBytes   = 8
	tokenBytes  = expiryBytes + len(nonce{}) + 2*digestBytes + sealBytes
)

// encoding is lower-case so that a model repeats it reliably; it has neither padding nor look-alikes of one and zero.
var encoding = base32.NewEncoding("abcdefghijkmnpqrstuvwxyz23456789").WithPadding(base32.NoPadding)

// keeper is a State that keeps a key for tokens beside their claims.
type keeper interface {
	Key(ctx context.Context) ([]byte, error)
}

// NewTokens returns Tokens with a key of at least 32 bytes, such as ReadKey's. With nil it is the State's own key where the
// State keeps one, and a random one elsewhere. It fails only for a shorter key. Servers that share the key must share the
// state: one accepts only what was issued since its own state began. The caller must call Close.
func NewTokens(key []byte, state State, now func() time.Time) (*Tokens, error) {
	t := &Tokens{state: state, spent: NewMemory(now), now: now}
	if keeper, ok := state.(keeper); ok && key == nil {
		t.key = keeper.Key
		return t, nil
	}
	if key == nil {
		key = NewKey()
	}
	if len(key) < minKeyBytes {
		return nil, lang.Errorf("the key for preview tokens has %d bytes; give at least %d random ones", len(key), minKeyBytes)
	}
	t.key = func(context.Context) ([]byte, error) { return key, nil }
	return t, nil
}

// Issue returns a token for a preview of s and the time until which it can be used. It fails when the State was never
// reached.
func (t *Tokens) Issue(ctx context.Context, s Subject) (token string, expires time.Time, err error) {
	return t.issue(ctx, t.fresh(forPreview), s)
}

// issueQuestion returns a token for a question about s. With a preview's token, which must have passed Check, one use is
// enough for both: a no to the question uses the preview up.
func (t *Tokens) issueQuestion(ctx context.Context, s Subject, preview string) (token string, err error) {
	o := t.fresh(forQuestion)
	if preview != "" {
		if o, err = t.parse(ctx, preview); err != nil {
			return "", err
		}
		o.kind = forQuestion
	}
	token, _, err = t.issue(ctx, o, s)
	return token, err
}

// opened is a token that is ours.
type opened struct {
	kind    kind
	nonce   nonce
	expires time.Time
	digests []byte
}

// issued returns the second in which the token was issued.
func (o opened) issued() time.Time { return o.expires.Add(-TokenLifetime) }

func (t *Tokens) fresh(k kind) opened {
	o := opened{kind: k, expires: t.now().Add(TokenLifetime).Truncate(time.Second)}
	_, _ = rand.Read(o.nonce[:]) // never fails
	return o
}

func (t *Tokens) issue(ctx context.Context, o opened, s Subject) (token string, expires time.Time, err error) {
	key, err := t.key(ctx)
	if err != nil {
		return "", time.Time{}, unchecked(err)
	}
	epoch, _, err := t.currentEpoch(ctx)
	if epoch == "" {
		return "", time.Time{}, unchecked(err)
	}
	raw := make([]byte, 0, tokenBytes)
	raw = binary.BigEndian.AppendUint32(raw, uint32(o.expires.Unix()))
	raw = append(raw, o.nonce[:]...)
	raw = append(raw, callDigest(key, o.nonce, epoch, s)...)
	raw = append(raw, stateDigest(key, o.nonce, s)...)
	raw = append(raw, seal(key, o.kind, raw)...)
	return encoding.EncodeToString(raw), o.expires, nil
}

// currentEpoch returns the State's epoch. With an error it is the last that was seen, which is good enough to issue a token:
// one of an epoch that is over is refused.
func (t *Tokens) currentEpoch(ctx context.Context) (id string, began time.Time, err error) {
	id, began, err = t.state.Epoch(ctx)
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		return t.epoch, time.Time{}, err
	}
	t.epoch = id
	return id, began, nil
}

func unchecked(err error) error { return lang.Errorf("%w: %w", ErrTokenUnchecked, err) }

// Check returns nil when the token of a preview holds for s and was not used, and an error that wraps one of the ErrToken…
// values otherwise.
func (t *Tokens) Check(ctx context.Context, token string, s Subject) error {
	o, _, err := t.open(ctx, forPreview, token, s)
	if err != nil {
		return err
	}
	if spent, _ := t.spent.Claimed(ctx, o.nonce.key()); spent { // never fails
		return ErrTokenUsed
	}
	used, err := t.state.Claimed(ctx, o.nonce.key())
	switch {
	case err != nil:
		return unchecked(err)
	case used:
		return ErrTokenUsed
	}
	return nil
}

// Redeem is Check and marks the token as used. Of two callers at the same time one wins.
func (t *Tokens) Redeem(ctx context.Context, token string, s Subject) error {
	return t.redeem(ctx, forPreview, token, s)
}

// redeem looks at the epoch once more after the claim: the State may have lost an earlier one in between.
func (t *Tokens) redeem(ctx context.Context, k kind, token string, s Subject) error {
	o, epoch, err := t.open(ctx, k, token, s)
	if err != nil {
		return err
	}
	if spent, _ := t.spent.Claimed(ctx, o.nonce.key()); spent { // never fails
		return ErrTokenUsed
	}
	won, err := t.state.Claim(ctx, o.nonce.key(), t.keepUntil(o))
	switch {
	case err != nil:
		return unchecked(err)
	case !won:
		return ErrTokenUsed
	}
	if first, _ := t.spent.Claim(ctx, o.nonce.key(), t.keepUntil(o)); !first { // never fails
		return ErrTokenUsed
	}
	now, _, err := t.currentEpoch(ctx)
	switch {
	case err != nil:
		return unchecked(err)
	case now != epoch:
		return ErrTokenOld
	}
	return nil
}

// keepUntil is until when the use of a token must be remembered, so that no clock, ahead or behind, takes it for unused. open
// accepts no token from the future.
func (t *Tokens) keepUntil(o opened) time.Time {
	until := t.now().Add(TokenLifetime)
	if o.expires.After(until) {
		until = o.expires
	}
	return until.Add(2 * clockSkew)
}

// Burn makes token unusable whatever it was issued for, also after ctx has ended. A token that is not ours is ignored. With
// an error, other replicas may still accept it for a while; this one does not, and tries again until the others know.
func (t *Tokens) Burn(ctx context.Context, token string) error {
	ctx = context.WithoutCancel(ctx)
	o, err := t.parse(ctx, token)
	if errors.Is(err, ErrTokenWrong) {
		return nil
	}
	if err == nil {
		_, _ = t.spent.Claim(ctx, o.nonce.key(), t.keepUntil(o)) // never fails
		if _, err = t.state.Claim(ctx, o.nonce.key(), t.keepUntil(o)); err == nil {
			return nil
		}
		t.burns.add(t.state, o.nonce.key(), t.keepUntil(o), t.now)
	}
	return lang.Errorf("a preview_token could not be made unusable for all replicas: %w", err)
}

// Close gives up what Burn is still trying, after one more try.
func (t *Tokens) Close() { t.burns.close() }

func (n nonce) key() string { return "token:" + hex.EncodeToString(n[:]) }

// TokenID names a token in logs without giving it away; "" for what is not a token.
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

// parse reads a token of any kind. Its error wraps ErrTokenWrong, or ErrTokenUnchecked when there is no key to check it with.
func (t *Tokens) parse(ctx context.Context, token string) (o opened, err error) {
	raw, err := decode(token)
	if err != nil {
		return o, err
	}
	key, err := t.key(ctx)
	if err != nil {
		return o, unchecked(err)
	}
	body, sealed := raw[:tokenBytes-sealBytes], raw[tokenBytes-sealBytes:]
	for _, k := range []kind{forPreview, forQuestion} {
		if hmac.Equal(sealed, seal(key, k, body)) {
			o.kind = k
		}
	}
	if o.kind == "" {
		return o, ErrTokenWrong
	}
	copy(o.nonce[:], body[expiryBytes:])
	o.expires = time.Unix(int64(binary.BigEndian.Uint32(body)), 0)
	o.digests = body[expiryBytes+len(o.nonce):]
	return o, nil
}

// open reads a token that holds for s now, apart from its use, and returns the epoch that it was issued in.
func (t *Tokens) open(ctx context.Context, k kind, token string, s Subject) (o opened, epoch string, err error) {
	if o, err = t.parse(ctx, token); err != nil {
		return o, "", err
	}
	key, err := t.key(ctx)
	if err != nil {
		return o, "", unchecked(err)
	}
	now := t.now()
	switch {
	case o.kind != k:
		return o, "", ErrTokenKind
	case now.After(o.expires), o.issued().After(now.Add(clockSkew)): // from the future: a clock has jumped
		return o, "", ErrTokenExpired
	}
	epoch, began, err := t.currentEpoch(ctx)
	switch {
	case err != nil:
		return o, "", unchecked(err)
	case hmac.Equal(o.digests[:digestBytes], callDigest(key, o.nonce, epoch, s)):
		if !hmac.Equal(o.digests[digestBytes:], stateDigest(key, o.nonce, s)) {
			return o, "", ErrTokenState
		}
		return o, epoch, nil
	case !o.issued().Add(time.Second).After(began):
		return o, "", ErrTokenOld
	}
	return o, "", ErrTokenOther
}

func seal(key []byte, k kind, body []byte) []byte {
	return mac(key, "seal", string(k), string(body))[:sealBytes]
}

// callDigest binds a token to a call, and to the epoch of the State that remembers its use. The time of issue would not do
// for that: clocks jump.
func callDigest(key []byte, n nonce, epoch string, s Subject) []byte {
	return mac(key, "call", string(n[:]), epoch, s.Tool, s.Caller, s.Region, s.Arguments)[:digestBytes]
}

func stateDigest(key []byte, n nonce, s Subject) []byte {
	return mac(key, "state", string(n[:]), s.State)[:digestBytes]
}

// mac is an HMAC over parts with their lengths, so that text cannot move from one part to the next.
func mac(key []byte, parts ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}
