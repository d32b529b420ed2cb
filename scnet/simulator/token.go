package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// platformID and platformName are the entry of the platform token in a token list (page get-user-tokens-aksk).
const (
	platformID   = "0"
	platformName = "ac"
)

// The account states seen in the claims of the sample tokens.
const (
	statusTrial    = "Trial"
	statusDisabled = "Disable"
)

// renewalGrace is how long after its expiry a token can be renewed (page renewal-token).
const renewalGrace = 24 * time.Hour

// claims are the members of a token's payload, as in the sample tokens of the documentation. There is no exp and no iat.
type claims struct {
	ComputeUser   string `json:"computeUser"`
	AccountStatus string `json:"accountStatus"`
	Creator       string `json:"creator"`
	Role          string `json:"role"`
	ExpireTime    string `json:"expireTime"` // epoch milliseconds
	ClusterID     string `json:"clusterId"`
	Invoker       string `json:"invoker"`
	User          string `json:"user"`
	UserID        string `json:"userId"`
}

func (c claims) expiry() time.Time {
	ms, _ := strconv.ParseInt(c.ExpireTime, 10, 64)
	return time.UnixMilli(ms)
}

// jwtHeader is {"alg":"HS256","typ":"JWT"}, the header of the sample tokens.
var jwtHeader = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`))

// Token mints a valid token for a region, or for the platform when regionID is "0". It is empty if there is no such region.
func (s *Simulator) Token(regionID string) string {
	return s.TokenExpiring(regionID, s.now().Add(s.lifetime))
}

// TokenExpiring mints a token that expires at the given time.
func (s *Simulator) TokenExpiring(regionID string, at time.Time) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if regionID != platformID && s.region(regionID) == nil {
		return ""
	}
	return s.mint(s.accounts[0].User, regionID, at, statusTrial)
}

// mint signs a token. The caller holds s.mu.
func (s *Simulator) mint(user, clusterID string, at time.Time, status string) string {
	c := claims{
		ComputeUser:   user,
		AccountStatus: status,
		Creator:       platformName,
		Role:          "1",
		ExpireTime:    strconv.FormatInt(at.UnixMilli(), 10),
		ClusterID:     clusterID,
		Invoker:       s.newID(), // keeps two tokens of the same millisecond apart
		User:          user,
		UserID:        "11655048541",
	}
	if r := s.region(clusterID); r != nil {
		c.ComputeUser = r.ClusterUser
	}
	signed := jwtHeader + "." + base64.RawURLEncoding.EncodeToString(fakecloud.EncodeJSON(c))
	return signed + "." + s.sign(signed)
}

func (s *Simulator) sign(text string) string {
	h := hmac.New(sha256.New, s.signKey)
	h.Write([]byte(text))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// genuine checks a token's signature, but not its expiry.
func (s *Simulator) genuine(token string) (claims, bool) {
	i := strings.LastIndexByte(token, '.')
	if i < 0 || !hmac.Equal([]byte(token[i+1:]), []byte(s.sign(token[:i]))) {
		return claims{}, false
	}
	return decodeClaims(token)
}

// valid checks a token. The caller holds s.mu.
func (s *Simulator) valid(token string, now time.Time) (claims, bool) {
	c, ok := s.genuine(token)
	return c, ok && now.Before(c.expiry()) && !s.revoked[token]
}

// decodeClaims reads a token's payload without checking anything.
func decodeClaims(token string) (claims, bool) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return claims{}, false
	}
	var c claims
	err = json.Unmarshal(payload, &c)
	return c, err == nil
}
