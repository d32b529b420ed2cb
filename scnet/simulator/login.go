package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud"
)

// clockSkew is how far a login's timestamp may be off. The pages state no limit; this one is an assumption.
const clockSkew = 5 * time.Minute

// token is the AK/SK login, page get-user-tokens-aksk. The order of its checks is an assumption. The body does not matter:
// clients send none, or {}.
func (c *call) token() reply {
	user, key := c.header.Get("user"), c.header.Get("accessKey")
	timestamp, signature := c.header.Get("timestamp"), c.header.Get("signature")
	if user == "" || key == "" || timestamp == "" || signature == "" {
		return fail(codeIncomplete)
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fail(codeInvalid)
	}
	account, userKnown := c.sim.account(func(a Account) bool { return a.User == user })
	owner, keyKnown := c.sim.account(func(a Account) bool { return a.AccessKey == key })
	switch {
	case !userKnown:
		return c.unverified("用户不存在")
	case !keyKnown:
		return c.unverified("accessKey不存在")
	case owner.User != account.User:
		return c.unverified("非本人accessKey")
	case !signatureMatches(signature, key, timestamp, user, owner.SecretKey):
		return c.unverified("AK/SK签名校验失败")
	case c.now.Sub(time.Unix(seconds, 0)).Abs() > clockSkew:
		return c.unverified("timestamp已过期")
	}
	return ok(c.tokens(owner))
}

// password is the login for third parties, page get-user-tokens.
func (c *call) password() reply {
	user, password, org := c.header.Get("user"), c.header.Get("password"), c.header.Get("orgId")
	if user == "" || password == "" || org == "" {
		return fail(codeIncomplete)
	}
	account, known := c.sim.account(func(a Account) bool { return a.User == user })
	switch {
	case !known:
		return c.unverified("用户不存在")
	case password != account.Password, org != account.OrgID:
		return c.unverified("密码校验失败")
	}
	return ok(c.tokens(account))
}

// unverified is 10009, which on the logins means that verification failed.
func (c *call) unverified(reason string) reply {
	r := fail(codeUnverified)
	if !c.quirks.VagueTokenErrors {
		r.msg = reason
	}
	return r
}

// tokens is the token list of an account, the platform's entry last as in the sample of page get-user-tokens-aksk.
func (c *call) tokens(a Account) []map[string]any {
	expiry := c.now.Add(c.sim.lifetime)
	entry := func(id, name string, token any) map[string]any {
		e := map[string]any{"clusterName": name, "clusterId": id, "token": token}
		if n, err := strconv.Atoi(id); err == nil && c.quirks.ClusterIDNumber {
			e["clusterId"] = n
		}
		return e
	}
	platform := entry(platformID, platformName, c.sim.mint(a.User, platformID, expiry, statusTrial))
	list := []map[string]any{}
	if a.User != c.sim.accounts[0].User {
		return append(list, platform)
	}
	for _, r := range c.sim.regions {
		e := entry(r.ID, r.Name, nil)
		switch {
		case !r.Suspended:
			e["token"] = c.sim.mint(a.User, r.ID, expiry, statusTrial)
		case c.quirks.SuspendedToken == SuspendedMissing:
			delete(e, "token")
		case c.quirks.SuspendedToken == SuspendedEmpty:
			e["token"] = ""
		case c.quirks.SuspendedToken == SuspendedDisabled:
			e["token"] = c.sim.mint(a.User, r.ID, expiry, statusDisabled)
		}
		list = append(list, e)
	}
	if c.quirks.PlatformFirst {
		return slices.Insert(list, 0, platform)
	}
	return append(list, platform)
}

// renew is page renewal-token.
func (c *call) renew() reply {
	t, genuine := c.sim.genuine(c.header.Get("token"))
	if !genuine || c.now.After(t.expiry().Add(renewalGrace)) {
		return fail(codeForbidden)
	}
	token := c.sim.mint(t.User, t.ClusterID, c.now.Add(c.sim.lifetime), t.AccountStatus)
	switch c.quirks.RenewData {
	case RenewString:
		return ok(token)
	case RenewObject:
		return ok(map[string]string{"token": token})
	}
	return ok([]map[string]string{{"token": token}})
}

// state is page get-token-state.
func (c *call) state() reply {
	if _, valid := c.sim.valid(c.header.Get("token"), c.now); !valid {
		return fail(codeForbidden)
	}
	return ok("token is valid")
}

func (s *Simulator) account(match func(Account) bool) (Account, bool) {
	for _, a := range s.accounts {
		if match(a) {
			return a, true
		}
	}
	return Account{}, false
}

// signatureMatches recomputes the signature of a login (page get-user-tokens-aksk) over the very strings of the headers. The
// page does not say how characters outside ASCII are written in the signed JSON, and clients differ, so both ways count.
func signatureMatches(signature, key, timestamp, user, secret string) bool {
	signed := fakecloud.EncodeJSON(struct {
		AccessKey string `json:"accessKey"`
		Timestamp string `json:"timestamp"`
		User      string `json:"user"`
	}{key, timestamp, user})
	for _, message := range [][]byte{signed, escapeNonASCII(signed)} {
		h := hmac.New(sha256.New, []byte(secret))
		h.Write(message)
		if hmac.Equal([]byte(signature), []byte(hex.EncodeToString(h.Sum(nil)))) {
			return true
		}
	}
	return false
}

// escapeNonASCII writes what is not ASCII as \uXXXX.
func escapeNonASCII(text []byte) []byte {
	var out []byte
	for _, r := range string(text) {
		if r < utf8.RuneSelf {
			out = append(out, byte(r))
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}
