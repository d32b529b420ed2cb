package simulator

import (
	"crypto/hmac"
	"net/http"
	"slices"
	"time"
)

// maxSkew is how far a request's date may be off (API Gateway, page "AK/SK
// Signing and Authentication Algorithm").
const maxSkew = 15 * time.Minute

// maxBody is the limit of signed bodies (API Gateway, page "Error Codes",
// APIGW.0201).
const maxBody = 12 << 20

// authenticate checks who sent a request: by its token, else by its signature.
// A reply with a code is a refusal. The caller holds s.mu.
func (s *Simulator) authenticate(r *http.Request, body []byte, now time.Time) reply {
	if token := r.Header.Get("X-Auth-Token"); token != "" {
		if expiry, ok := s.tokens[token]; !ok || !now.Before(expiry) {
			return fail(codeToken, "")
		}
		return reply{}
	}
	a, ok := parseAuthorization(r.Header.Get("Authorization"))
	if !ok {
		return fail(codeSignature, "Incorrect IAM authentication information: no token and no signature")
	}
	date, err := time.Parse(dateForm, r.Header.Get(dateHeader))
	if err != nil || !slices.Contains(a.signed, "x-sdk-date") {
		return fail(codeTimestamp, "Incorrect authentication information: x-sdk-date is missing, malformed or not signed")
	}
	if skew := now.Sub(date); skew.Abs() > maxSkew {
		return fail(codeTimestamp, "")
	}
	i := slices.IndexFunc(s.account.Keys, func(k Key) bool { return k.AccessKey == a.access })
	if i < 0 {
		return fail(codeSignature, "Incorrect IAM authentication information: the AK does not exist")
	}
	key := s.account.Keys[i]
	if r.Header.Get("X-Security-Token") != key.SecurityToken {
		return fail(codeSignature, "Incorrect IAM authentication information: the security token does not belong to the AK")
	}
	if !key.Expires.IsZero() && !now.Before(key.Expires) {
		return fail(codeSignature, "Incorrect IAM authentication information: the temporary AK has expired")
	}
	if !hmac.Equal([]byte(signature(r, body, a.signed, key.SecretKey)), []byte(a.signature)) {
		return fail(codeSignature, "")
	}
	return reply{}
}
