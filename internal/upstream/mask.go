package upstream

import (
	"bytes"
	"strings"
)

const (
	masked = "[secret]"
	// maskNeedle is how much of the end of a secret is looked for first: what is so short is found many times faster, and
	// nearly no answer holds it.
	maskNeedle = 24
	// minMasked is shorter than any credential; what is shorter may be a part of any word, and of the JSON itself.
	minMasked = 8
)

// Mask takes secrets out of the body of an answer, should the service repeat one of them: what it sends as an id or a name
// reaches results and the audit log.
func Mask(body []byte, secrets ...string) []byte {
	for _, secret := range secrets {
		if len(secret) < minMasked {
			continue
		}
		body = mask(body, secret)
		if escaped := strings.ReplaceAll(secret, "/", `\/`); escaped != secret { // as some write it in JSON
			body = mask(body, escaped)
		}
	}
	return body
}

func mask(body []byte, secret string) []byte {
	if !bytes.Contains(body, []byte(secret[max(0, len(secret)-maskNeedle):])) {
		return body
	}
	return bytes.ReplaceAll(body, []byte(secret), []byte(masked))
}
