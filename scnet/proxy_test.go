package scnet_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// TestProxyChild makes one call for TestProxyFromEnvironment: net/http reads the proxy variables once per process.
func TestProxyChild(t *testing.T) {
	if os.Getenv("SCNET_TEST_PROXY_CHILD") == "" {
		t.Skip("runs only in a subprocess of TestProxyFromEnvironment")
	}
	client, err := scnet.New(scnet.Config{Token: scnet.NewSecret("t"), AIURL: "https://region.scnet.invalid:65011/ai"})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	err = pick(t, client, "").Delete(t.Context(), running)
	e := asError(t, err)
	if e.Delivery != upstream.NotSent || e.Uncertain || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("err = %+v", e)
	}
}

func TestProxyFromEnvironment(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.Host)
		if user, password, ok := (&http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}).BasicAuth(); !ok || user != "me" || password != "hunter2" {
			t.Errorf("proxy credentials %q %q", user, password)
		}
		w.WriteHeader(http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyChild$", "-test.v")
	child.Env = append(os.Environ(), "SCNET_TEST_PROXY_CHILD=1", "NO_PROXY=", "no_proxy=", "https_proxy=",
		"HTTPS_PROXY="+strings.Replace(proxy.URL, "http://", "http://me:hunter2@", 1))
	output, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: TestProxyChild") {
		t.Fatalf("%v\n%s", err, output)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(asked) != 3 { // a write may be tried again as long as nothing of it has left
		t.Errorf("the proxy was asked %v", asked)
	}
	for _, request := range asked {
		if request != "CONNECT region.scnet.invalid:65011" {
			t.Errorf("the proxy was asked %s", request)
		}
	}
}
