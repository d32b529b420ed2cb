package simulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

func TestSignatureVectors(t *testing.T) {
	const key, timestamp = "85f96a42b13f4d2c8b760d2775bbcca8", "1764597591"
	for _, c := range []struct{ user, secret, signature string }{
		{"bob", "test-secret-key", "955d795a7d1866b85da79cf2763285a5e591eae8fad59bb9f046443bd16df1a1"},
		{"test", "0123456789abcdef", "1732a7ec36ef0929309a1d9cbdc4948a8b74e837c022eda452b9472f3c942141"},
	} {
		eq(t, c.user, signatureMatches(c.signature, key, timestamp, c.user, c.secret), true)
		eq(t, c.user+" upper case", signatureMatches(strings.ToUpper(c.signature), key, timestamp, c.user, c.secret), false)
		eq(t, c.user+" other time", signatureMatches(c.signature, key, "1764597592", c.user, c.secret), false)
	}
	for _, name := range []string{`"accessKey":"k","timestamp":"1","user":"张<三>"`, `"accessKey":"k","timestamp":"1","user":"\u5f20<\u4e09>"`} {
		eq(t, name, signatureMatches(hmacHex("s", "{"+name+"}"), "k", "1", "张<三>", "s"), true)
	}
}

func hmacHex(secret, message string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(message))
	return hex.EncodeToString(h.Sum(nil))
}

// login sends a token request as a client that signs correctly, except for what change does to its headers.
func (l *lab) login(a Account, body string, change map[string]string) result {
	l.t.Helper()
	timestamp := strconv.FormatInt(l.clock.Now().Unix(), 10)
	header := map[string]string{
		"user": a.User, "accessKey": a.AccessKey, "timestamp": timestamp,
		"signature": hmacHex(a.SecretKey, fmt.Sprintf(`{"accessKey":"%s","timestamp":"%s","user":"%s"}`, a.AccessKey, timestamp, a.User)),
	}
	var pairs []string
	for name, v := range header {
		if changed, ok := change[name]; ok {
			v = changed
		}
		pairs = append(pairs, name, v)
	}
	if v, ok := change["Content-Type"]; ok {
		pairs = append(pairs, "Content-Type", v)
	}
	return l.send("POST", l.URL()+"/api/user/v3/tokens", body, pairs...)
}

var poor = Account{User: "poor", AccessKey: "aa", SecretKey: "bb"}

func TestLogin(t *testing.T) {
	l := open(t, Options{OtherAccounts: []Account{poor}})
	for _, body := range []string{"", "{}"} {
		for _, change := range []map[string]string{nil, {"Content-Type": "application/json"}} {
			l.login(DemoAccount(), body, change).want(t, "0")
		}
	}
	old := map[string]string{"timestamp": strconv.FormatInt(fakecloudtest.Noon.Add(-6*time.Minute).Unix(), 10)}
	for _, c := range []struct {
		change  map[string]string
		code    string
		message string
	}{
		{map[string]string{"user": ""}, "10003", "参数不全"},
		{map[string]string{"accessKey": ""}, "10003", "参数不全"},
		{map[string]string{"timestamp": ""}, "10003", "参数不全"},
		{map[string]string{"signature": ""}, "10003", "参数不全"},
		{map[string]string{"timestamp": "today"}, "10004", "参数无效"},
		{map[string]string{"user": "renamed"}, "10009", "用户不存在"},
		{map[string]string{"accessKey": "cc"}, "10009", "accessKey不存在"},
		{map[string]string{"accessKey": "aa"}, "10009", "非本人accessKey"},
		{map[string]string{"signature": "ff"}, "10009", "AK/SK签名校验失败"},
		{old, "10009", "AK/SK签名校验失败"},
	} {
		eq(t, fmt.Sprint(c.change), l.login(DemoAccount(), "", c.change).want(t, c.code).Msg, c.message)
	}

	l.SetQuirks(Quirks{VagueTokenErrors: true})
	eq(t, "vague", l.login(DemoAccount(), "", map[string]string{"signature": "ff"}).want(t, "10009").Msg, "校验失败")
}

func TestLoginStaleTimestamp(t *testing.T) {
	for _, c := range []struct {
		off  time.Duration
		code string
	}{{5 * time.Minute, "0"}, {-5 * time.Minute, "0"}, {6 * time.Minute, "10009"}, {-6 * time.Minute, "10009"}} {
		l := open(t, Options{})
		client := &lab{Simulator: l.Simulator, t: t, clock: fakecloudtest.NewClock(), http: l.http}
		client.clock.Advance(c.off)
		client.login(DemoAccount(), "", nil).want(t, c.code)
	}
}

type tokenEntry struct {
	ClusterName string
	ClusterID   any
	Token       *string
}

func TestTokenList(t *testing.T) {
	l := open(t, Options{OtherAccounts: []Account{poor}})
	list := into[[]tokenEntry](t, l.login(DemoAccount(), "", nil))
	eq(t, "entries", len(list), 5)
	eq(t, "last id", list[4].ClusterID, "0")
	eq(t, "last name", list[4].ClusterName, "ac")
	eq(t, "suspended", list[3].Token, nil)
	c, _ := decodeClaims(*list[0].Token)
	c.Invoker = ""
	eq(t, "claims", c, claims{
		ComputeUser: "demo", AccountStatus: "Trial", Creator: "ac", Role: "1", ClusterID: kunshan, User: "demo",
		UserID: "11655048541", ExpireTime: strconv.FormatInt(fakecloudtest.Noon.Add(12*time.Hour).UnixMilli(), 10),
	})
	l.send("GET", l.RegionURL(kunshan)+servicePath+"/resource-group", "", "token", *list[0].Token).want(t, "0")

	list = into[[]tokenEntry](t, l.login(poor, "", nil))
	eq(t, "entries without resources", len(list), 1)

	for _, c := range []struct {
		quirks Quirks
		want   string
	}{
		{Quirks{}, `"token":null`},
		{Quirks{SuspendedToken: SuspendedMissing}, `"clusterName":"西北一区【西安】"}`},
		{Quirks{SuspendedToken: SuspendedEmpty}, `"token":""`},
		{Quirks{ClusterIDNumber: true}, `"clusterId":11250`},
	} {
		l.SetQuirks(c.quirks)
		if r := l.login(DemoAccount(), "", nil); !strings.Contains(r.raw, c.want) {
			t.Errorf("%+v: no %s in %s", c.quirks, c.want, r.raw)
		}
	}

	l.SetQuirks(Quirks{PlatformFirst: true})
	list = into[[]tokenEntry](t, l.login(DemoAccount(), "", nil))
	eq(t, "first name", list[0].ClusterName, "ac")
	eq(t, "second name", list[1].ClusterID, kunshan)

	l.SetQuirks(Quirks{SuspendedToken: SuspendedDisabled})
	token := *into[[]tokenEntry](t, l.login(DemoAccount(), "", nil))[3].Token
	disabled, _ := decodeClaims(token)
	eq(t, "accountStatus", disabled.AccountStatus, "Disable")
	l.send("GET", l.RegionURL(owing)+servicePath+"/resource-group", "", "token", token).want(t, "10007")
}

func TestPasswordLogin(t *testing.T) {
	third := Account{User: "third", Password: "pw", OrgID: "org"}
	l := open(t, Options{OtherAccounts: []Account{third, poor}})
	for _, c := range []struct{ user, password, org, code string }{
		{"third", "pw", "org", "0"},
		{"third", "pw", "", "10003"},
		{"third", "wrong", "org", "10009"},
		{"third", "pw", "other", "10009"},
		{"poor", "pw", "org", "10009"},
		{"nobody", "pw", "org", "10009"},
	} {
		l.send("POST", l.URL()+platformPath+"/tokens", "", "user", c.user, "password", c.password, "orgid", c.org).want(t, c.code)
	}
}

func TestContainerCallsNeedTheRegionsToken(t *testing.T) {
	l := open(t, Options{})
	forged := strings.Split(l.Token(kunshan), ".")
	forged[2] = strings.Repeat("A", 43)
	for name, token := range map[string]string{
		"missing":      "",
		"garbage":      "x",
		"forged":       strings.Join(forged, "."),
		"expired":      l.TokenExpiring(kunshan, fakecloudtest.Noon),
		"other region": l.Token(wuzhen),
		"platform":     l.Token("0"),
	} {
		t.Run(name, func(t *testing.T) {
			r := l.send("GET", l.RegionURL(kunshan)+servicePath+"/resource-group", "", "token", token)
			eq(t, "message", r.want(t, "10008").Msg, "权限不足")
		})
	}
	eq(t, "token of no region", l.Token("1"), "")
	l.SetQuirks(Quirks{FrozenUser: true})
	l.do(kunshan, "GET", "instance-service/resource-group", "").want(t, "10007")
}

func TestTokenLifetime(t *testing.T) {
	l := open(t, Options{TokenLifetime: time.Hour})
	token := l.Token(kunshan)
	state := func() result { return l.platform("GET", platformPath+"/tokens/state", token) }
	renew := func() result { return l.platform("POST", platformPath+"/tokens/next", token) }
	eq(t, "state", into[string](t, state().want(t, "0")), "token is valid")
	l.clock.Advance(time.Hour)
	state().want(t, "10008")
	l.clock.Advance(24 * time.Hour)
	renewed := into[[]struct{ Token string }](t, renew().want(t, "0"))[0].Token
	l.platform("GET", platformPath+"/tokens/state", renewed).want(t, "0")
	l.SetQuirks(Quirks{RenewData: RenewString})
	if into[string](t, renew()) == renewed {
		t.Error("renewed to the same token twice")
	}
	l.SetQuirks(Quirks{RenewData: RenewObject})
	into[struct{ Token string }](t, renew())
	l.clock.Advance(time.Millisecond)
	renew().want(t, "10008")
	l.platform("POST", platformPath+"/tokens/next", "x").want(t, "10008")
}
