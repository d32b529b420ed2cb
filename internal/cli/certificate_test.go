package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair is where a certificate and its key are.
type pair struct{ cert, key string }

func newPair(t *testing.T) pair {
	folder := t.TempDir()
	return pair{filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")}
}

// write makes a certificate with that number for 127.0.0.1, and returns what trusts it alone.
func (p pair) write(t *testing.T, number int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	encoded, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: encoded})
	writeFile(t, p.cert, string(chain))
	writeFile(t, p.key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(chain)
	return pool
}

// presented returns the number of the certificate that a new connection to url is shown.
func presented(t *testing.T, url string, trusted *x509.CertPool, change ...func(*tls.Config)) (number int64, err error) {
	t.Helper()
	settings := &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
	for _, each := range change {
		each(settings)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	return response.TLS.PeerCertificates[0].SerialNumber.Int64(), nil
}

func TestCertificateReload(t *testing.T) {
	p := newPair(t)
	first := p.write(t, 1)
	c, err := openCertificate(p.cert, p.key)
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.TLS = &tls.Config{ // beside it, httptest would show a certificate of its own
		MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.config(), nil },
	}
	web.StartTLS()
	defer web.Close()
	shown := func(trusted *x509.CertPool, want int64) {
		t.Helper()
		if got, err := presented(t, web.URL, trusted); got != want || err != nil {
			t.Errorf("certificate %d, want %d; %v", got, want, err)
		}
	}
	shown(first, 1)
	second := p.write(t, 2)
	shown(first, 1) // until it is read again
	if err := c.reload(); err != nil {
		t.Fatal(err)
	}
	shown(second, 2)

	other := newPair(t)
	other.write(t, 3)
	for name, broken := range map[string]pair{
		"no certificate":     {p.cert + "x", p.key},
		"no key":             {p.cert, p.key + "x"},
		"the key of another": {p.cert, other.key},
		"one for the other":  {p.key, p.cert},
		"a key and no chain": {p.key, p.key},
		"a chain and no key": {p.cert, p.cert},
	} {
		c.certFile, c.keyFile = broken.cert, broken.key
		if err := c.reload(); err == nil || !strings.HasPrefix(err.Error(), "--tls-cert and --tls-key: ") {
			t.Errorf("%s: %v", name, err)
		}
		shown(second, 2)
		if _, err := openCertificate(broken.cert, broken.key); err == nil {
			t.Errorf("%s: the server would start", name)
		}
	}
}

func TestServeOverTLS(t *testing.T) {
	p := newPair(t)
	trusted := p.write(t, 1)
	s := serveHere(t, nil, "--demo", "--transport=http", "--tls-cert="+p.cert, "--tls-key="+p.key)
	if !strings.HasPrefix(s.url, "https://127.0.0.1:") {
		t.Errorf("it listens on %s", s.url)
	}
	if client := readSnippet(t, s.errs.String()).Servers["scnet"]; client.URL != s.url+"/mcp" {
		t.Errorf("the snippet says %s", client.URL)
	}
	if _, err := presented(t, s.url, trusted); err != nil {
		t.Error(err)
	}
	if _, err := presented(t, s.url, trusted, func(c *tls.Config) {
		c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	}); err == nil {
		t.Error("an old version of TLS is spoken")
	}
	for _, suite := range tls.CipherSuites() {
		weak := slices.Contains(suite.SupportedVersions, tls.VersionTLS12) && strings.Contains(suite.Name, "CBC")
		if _, err := presented(t, s.url, trusted, func(c *tls.Config) {
			c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{suite.ID}
		}); weak && err == nil {
			t.Errorf("%s is spoken", suite.Name)
		}
	}
	if _, err := presented(t, s.url, trusted, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }); err != nil {
		t.Errorf("TLS 1.2 is not spoken: %v", err)
	}
	plain := strings.Replace(s.url, "https", "http", 1)
	if response, err := s.client.Get(plain + "/healthz"); err == nil {
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK {
			t.Error("it answers without TLS")
		}
	}
}

func TestCertificateOnHangup(t *testing.T) {
	p := newPair(t)
	first := p.write(t, 1)
	s := launch(t, nil, "--log-level=info", "serve", "--demo", "--transport=http", "--listen=127.0.0.1:0", "--tls-cert="+p.cert, "--tls-key="+p.key)
	if got, err := presented(t, s.url, first); got != 1 {
		t.Errorf("certificate %d, %v", got, err)
	}
	second := p.write(t, 2)
	s.signal(syscall.SIGHUP)
	s.said(1, "read again on SIGHUP")
	if got, err := presented(t, s.url, second); got != 2 {
		t.Errorf("certificate %d, %v", got, err)
	}
	if _, err := presented(t, s.url, first); err == nil {
		t.Error("the old certificate is still shown")
	}
	writeFile(t, p.key, "nothing")
	s.signal(syscall.SIGHUP)
	s.said(1, "what was read before stays in force")
	if got, err := presented(t, s.url, second); got != 2 {
		t.Errorf("certificate %d, %v", got, err)
	}
	contains(t, "log", s.errs.String(), `"level":"error"`, "--tls-cert and --tls-key: ")
}
