package scnet

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// sign returns the lower-case hex HMAC-SHA256, keyed with secretKey, of the compact JSON object of the three header
// values in alphabetical order (page safecertification/get-user-tokens-aksk). timestamp is in Unix seconds.
func sign(accessKey, timestamp, user, secretKey string) string {
	var message bytes.Buffer
	encoder := json.NewEncoder(&message)
	encoder.SetEscapeHTML(false) // the service signs "&", "<" and ">" as they are
	// Encoding three strings to a buffer cannot fail.
	_ = encoder.Encode(struct {
		AccessKey string `json:"accessKey"`
		Timestamp string `json:"timestamp"`
		User      string `json:"user"`
	}{accessKey, timestamp, user})
	mac := hmac.New(sha256.New, []byte(secretKey))
	mac.Write(bytes.TrimSuffix(message.Bytes(), []byte("\n")))
	return hex.EncodeToString(mac.Sum(nil))
}
