package upstream_test

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

func TestMask(t *testing.T) {
	long := "eyJhbGciOiJIUzI1NiJ9." + strings.Repeat("e30", 60) + ".signature-signature"
	for body, want := range map[string]string{
		`{"id":"` + long + `"}`:                 `{"id":"[secret]"}`,
		`["` + long + long + `","id"]`:          `["[secret][secret]","id"]`,
		`{"id":"` + long[:len(long)-1] + `"}`:   `{"id":"` + long[:len(long)-1] + `"}`,
		`{"note":"a\/b+c/d"}`:                   `{"note":"a\/b+c/d"}`,
		`{"note":"a\/b+c\/d-and-so-on-for-it"}`: `{"note":"[secret]"}`,
		`{"note":"a/b+c/d-and-so-on-for-it"}`:   `{"note":"[secret]"}`,
		``:                                      ``,
	} {
		if got := string(upstream.Mask([]byte(body), "", long, "id", "a/b+c/d-and-so-on-for-it")); got != want {
			t.Errorf("%s became %s", body, got)
		}
	}
}
