package scnet

import "testing"

func TestSign(t *testing.T) {
	const key, timestamp = "85f96a42b13f4d2c8b760d2775bbcca8", "1764597591"
	for _, c := range []struct{ user, secret, want string }{
		{"bob", "test-secret-key", "955d795a7d1866b85da79cf2763285a5e591eae8fad59bb9f046443bd16df1a1"},
		{"test", "0123456789abcdef", "1732a7ec36ef0929309a1d9cbdc4948a8b74e837c022eda452b9472f3c942141"},
	} {
		if got := sign(key, timestamp, c.user, c.secret); got != c.want {
			t.Errorf("sign for %s = %s, want %s", c.user, got, c.want)
		}
	}
	// Computed apart from this package over {"accessKey":"k","timestamp":"1","user":"a<b>&\"\\用"}.
	const odd = "6173ae1fa08cbf1bd7c0694666b5378d1c7251ab089b9cc4d3bdf641548efdef"
	if got := sign("k", "1", `a<b>&"\用`, "s"); got != odd {
		t.Errorf("sign of characters that JSON encoders escape = %s", got)
	}
}
