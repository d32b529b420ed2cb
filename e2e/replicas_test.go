package e2e

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scnet-mcp/scnet-mcp/scnet/simulator"
)

// cluster is two replicas behind a proxy that gives every request to the next one, with what they share.
type cluster struct {
	t        testing.TB
	sim      *simulator.Simulator
	known    *guests
	port     int // of Redis
	redis    *daemon
	replicas [2]*site
	front    string // the URL of the proxy
}

// people are the callers of a cluster. Four of them have a client of each era.
var people = []string{"ann", "bob", "cyd", "dan"}

// newCluster starts a cluster with n instances.
func newCluster(t testing.TB, n int) *cluster {
	t.Helper()
	program(t, "nginx")
	c := &cluster{t: t, port: freePort(t, 1), known: invite(t, append(people, `eve "max_mutations_per_hour":3`)...)}
	c.startRedis()
	key := make([]byte, 32)
	_, _ = rand.Read(key)
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte(base64.StdEncoding.EncodeToString(key)), 0o600); err != nil {
		t.Fatal(err)
	}
	var settings []string
	c.sim, settings = laboratory(t, n)
	for i := range c.replicas {
		c.replicas[i] = serve(t, "http", settings, "--callers", c.known.file, "--key-file", keyFile,
			"--state", "redis://127.0.0.1:"+strconv.Itoa(c.port), "--requests-per-second", "10000")
	}
	c.startProxy()
	return c
}

// startRedis starts a Redis that has forgotten everything.
func (c *cluster) startRedis() {
	c.t.Helper()
	c.redis = run(c.t, nil, program(c.t, "redis-server"), "--port", strconv.Itoa(c.port), "--bind", "127.0.0.1",
		"--save", "", "--appendonly", "no", "--dir", c.t.TempDir())
	c.redis.says("Ready to accept connections")
}

// startProxy starts nginx, which says in X-Replica who answered. In one process it takes turns strictly.
func (c *cluster) startProxy() {
	c.t.Helper()
	dir, port := c.t.TempDir(), freePort(c.t, 1)
	config := filepath.Join(dir, "nginx.conf")
	text := fmt.Sprintf(`
master_process off;
pid %[1]s/nginx.pid;
error_log stderr;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path %[1]s/body;
	proxy_temp_path %[1]s/proxy;
	fastcgi_temp_path %[1]s/fastcgi;
	uwsgi_temp_path %[1]s/uwsgi;
	scgi_temp_path %[1]s/scgi;
	upstream replicas { server %[2]s; server %[3]s; }
	server {
		listen 127.0.0.1:%[4]d;
		location / {
			proxy_pass http://replicas;
			proxy_set_header Host $http_host;
			add_header X-Replica $upstream_addr always;
		}
	}
}
`, dir, strings.TrimPrefix(c.replicas[0].url, "http://"), strings.TrimPrefix(c.replicas[1].url, "http://"), port)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
	c.front = "http://127.0.0.1:" + strconv.Itoa(port)
	run(c.t, nil, program(c.t, "nginx"), "-p", dir, "-c", config, "-g", "daemon off;")
	until(c.t, "nginx answers", func() bool {
		response, err := http.Get(c.front + "/healthz")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

// population are a client of each era for every one of people.
func (c *cluster) population() (clients []*agent) {
	c.t.Helper()
	for _, name := range people {
		for _, era := range []string{legacyEra, modernEra} {
			clients = append(clients, opened(c.t, c.front, era, c.known.tokens[name]))
		}
	}
	return clients
}

// crosses lists, previews at one replica and confirms at the other.
func crosses(ctx context.Context, a *agent, id string) error {
	if _, err := a.list(ctx); err != nil {
		return err
	}
	token, shown, err := a.preview(ctx, id)
	if err != nil {
		return err
	}
	done, err := a.call(ctx, "delete_instances", deletion(id, with(token)))
	if err != nil || !done.deleted() {
		return done.fault("not deleted", err)
	}
	if shown.replica == done.replica || shown.replica == "" {
		return fmt.Errorf("preview at %q, confirmed at %q", shown.replica, done.replica)
	}
	return nil
}

// verify stops the replicas and checks their audit logs: every deletion that the simulator was sent is in one of them.
func (c *cluster) verify() {
	c.t.Helper()
	results := 0
	for _, r := range c.replicas {
		r.stop()
		if r.verify(); r.err != nil && r.cmd.ProcessState.ExitCode() >= 0 {
			c.t.Errorf("a replica ended with %v", r.err)
		}
		results += len(r.records("result"))
	}
	if n := deletions(c.sim); n != results {
		c.t.Errorf("%d deletions, and %d results in the audit logs", n, results)
	}
}

// What one replica showed, the other one does, for every caller and in both eras.
func TestReplicasShareSessionsAndPreviews(t *testing.T) {
	needs(t, unix...)
	c := newCluster(t, 8)
	for i, client := range c.population() {
		if err := crosses(t.Context(), client, instance(i)); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
	if n := deletions(c.sim); n != 8 {
		t.Errorf("%d deletions", n)
	}
	c.verify()
	previewed := map[string]int{} // caller and instance to the replica
	for i, r := range c.replicas {
		for _, shown := range r.records("previewed") {
			previewed[shown.Caller+" "+shown.Targets[0].ID] = i
		}
	}
	for i, r := range c.replicas {
		for _, done := range r.records("result") {
			if at, found := previewed[done.Caller+" "+done.Targets[0].ID]; !found || at == i {
				t.Errorf("%+v at %d; previewed at %d, %v", done, i, at, found)
			}
		}
	}
}

// A token that is used at both replicas at the same time acts once.
func TestReplicasUseATokenOnce(t *testing.T) {
	needs(t, unix...)
	c := newCluster(t, 6)
	c.sim.Inject(simulator.Fault{Endpoint: simulator.EndpointDelete, Latency: 150 * time.Millisecond}) // so that they overlap
	ann := opened(t, c.front, legacyEra, c.known.tokens["ann"])
	for i := range 6 {
		token, _, err := ann.preview(t.Context(), instance(i))
		if err != nil {
			t.Fatal(err)
		}
		var got [2]answer
		group, ctx := errgroup.WithContext(t.Context())
		for n := range got {
			group.Go(func() (err error) {
				got[n], err = ann.call(ctx, "delete_instances", deletion(instance(i), with(token)))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if got[0].replica == got[1].replica || got[0].deleted() == got[1].deleted() {
			t.Errorf("at %s: %s\nat %s: %s", got[0].replica, got[0].text, got[1].replica, got[1].text)
		}
		refused := got[0]
		if got[0].deleted() {
			refused = got[1]
		}
		if !strings.Contains(refused.reply.text(), "has been used") {
			t.Error(refused.text)
		}
	}
	if n := deletions(c.sim); n != 6 {
		t.Errorf("%d deletions", n)
	}
	c.verify()
}

// agreed is the answer of a user who deletes one instance.
const agreed = `{"action":"accept","content":{"confirmation":"delete 1"}}`

// The answer to a question finds the call that waits for it at the other replica.
func TestReplicasPassAnswersOn(t *testing.T) {
	needs(t, unix...)
	c := newCluster(t, 5)
	ann := newAgent(t, c.front, legacyEra, c.known.tokens["ann"])
	ann.capabilities = asks
	if err := ann.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, result := range []string{agreed, `{"action":"decline"}`, agreed} {
		var askedAt, answeredAt string
		ann.asked = func(ctx context.Context, question answer) error {
			got, err := ann.respond(ctx, question, result)
			if err == nil && (got.status != http.StatusAccepted || question.method != "elicitation/create") {
				err = fmt.Errorf("%s: status %d: %s", question.text, got.status, got.text)
			}
			askedAt, answeredAt = question.replica, got.replica
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		got, err := ann.call(ctx, "delete_instances", deletion(instance(i), `,"confirm":true`))
		cancel()
		if err != nil || got.deleted() != (result == agreed) {
			t.Errorf("%d: %v: %s", i, err, got.text)
		}
		if askedAt == answeredAt || askedAt == "" {
			t.Errorf("asked at %q, answered at %q", askedAt, answeredAt)
		}
	}
	// In the modern era the question is a result, and its answer comes with a new call.
	bob := newAgent(t, c.front, modernEra, c.known.tokens["bob"])
	bob.capabilities = asks
	asked, err := bob.call(t.Context(), "delete_instances", deletion(instance(3), `,"confirm":true`))
	var question struct{ Result struct{ RequestState string } }
	if err := errors.Join(err, json.Unmarshal([]byte(asked.text), &question)); err != nil || question.Result.RequestState == "" {
		t.Fatalf("%v: %s", err, asked.text)
	}
	done, err := bob.call(t.Context(), "delete_instances", deletion(instance(3), `,"confirm":true`),
		fmt.Sprintf(`"requestState":%q,"inputResponses":{"consent":%s}`, question.Result.RequestState, agreed))
	if err != nil || !done.deleted() || done.replica == asked.replica {
		t.Errorf("%v: asked at %q, answered at %q: %s", err, asked.replica, done.replica, done.text)
	}
	if n := deletions(c.sim); n != 3 {
		t.Errorf("%d deletions", n)
	}
	c.verify()
}

// What a caller may change in an hour holds for all replicas together, and for this caller alone.
func TestReplicasShareBudgets(t *testing.T) {
	needs(t, unix...)
	c := newCluster(t, 13)
	eve := opened(t, c.front, modernEra, c.known.tokens["eve"])
	var done, refused atomic.Int64
	at := map[string]bool{}
	group, ctx := errgroup.WithContext(t.Context())
	for i := range 12 {
		token, shown, err := eve.preview(t.Context(), instance(i))
		if err != nil {
			t.Fatal(err)
		}
		at[shown.replica] = true
		group.Go(func() error {
			got, err := eve.call(ctx, "delete_instances", deletion(instance(i), with(token)))
			switch {
			case err != nil:
				return err
			case got.deleted():
				done.Add(1)
			case strings.Contains(got.reply.text(), "the hourly limit of 3 changes is reached"):
				refused.Add(1)
			default:
				return got.fault("neither done nor refused", nil)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if done.Load() != 3 || refused.Load() != 9 || deletions(c.sim) != 3 || len(at) != 2 {
		t.Errorf("%d done, %d refused, %d deletions at %v", done.Load(), refused.Load(), deletions(c.sim), at)
	}
	if err := crosses(t.Context(), opened(t, c.front, legacyEra, c.known.tokens["bob"]), instance(12)); err != nil {
		t.Error(err)
	}
	c.verify()
}

// Without Redis nothing is changed, because nobody could tell whether it was done before. Reading works.
func TestReplicasWithoutRedis(t *testing.T) {
	needs(t, unix...)
	t.Parallel()
	c := newCluster(t, 2)
	ann := opened(t, c.front, legacyEra, c.known.tokens["ann"])
	token, _, err := ann.preview(t.Context(), instance(0))
	if err != nil {
		t.Fatal(err)
	}
	c.redis.kill()
	for range 2 { // at each replica
		if _, err := ann.list(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for range 2 {
		got, err := ann.call(t.Context(), "delete_instances", deletion(instance(0), with(token)))
		if err != nil || !got.Result.IsError || !strings.Contains(got.reply.text(), "cannot be reached") ||
			!strings.Contains(strings.ToLower(got.reply.text()), "nothing was changed") {
			t.Errorf("%v: status %d: %s", err, got.status, got.text)
		}
	}
	if n := deletions(c.sim); n != 0 {
		t.Errorf("%d deletions", n)
	}
	for _, r := range c.replicas {
		r.becomes(http.StatusServiceUnavailable)
		if status, _ := r.get("/healthz"); status != http.StatusOK {
			t.Errorf("/healthz answers %d", status)
		}
	}
	c.startRedis()
	for _, r := range c.replicas {
		r.becomes(http.StatusOK)
	}
	// What was spent is put together first, and nothing is changed until then. Tokens of before are worth nothing.
	until(t, "changes are let through again", func() bool {
		token, _, err := ann.preview(t.Context(), instance(0))
		if err != nil {
			return false
		}
		done, err := ann.call(t.Context(), "delete_instances", deletion(instance(0), with(token)))
		return err == nil && done.deleted()
	})
	if err := crosses(t.Context(), opened(t, c.front, modernEra, c.known.tokens["bob"]), instance(1)); err != nil {
		t.Error(err)
	}
	c.verify()
}

// When a replica dies its clients go on at the other one, with the sessions and previews that they have.
func TestReplicaDies(t *testing.T) {
	needs(t, unix...)
	c := newCluster(t, 16)
	clients := c.population()
	tokens := make([]string, len(clients))
	for i, client := range clients {
		var err error
		if tokens[i], _, err = client.preview(t.Context(), instance(i)); err != nil {
			t.Fatal(err)
		}
	}
	c.replicas[0].kill()
	group, ctx := errgroup.WithContext(t.Context())
	for i, client := range clients {
		group.Go(func() error {
			if _, err := client.list(ctx); err != nil {
				return fmt.Errorf("client %d: %w", i, err)
			}
			done, err := client.call(ctx, "delete_instances", deletion(instance(i), with(tokens[i])))
			if err != nil || !done.deleted() {
				return done.fault(fmt.Sprintf("client %d", i), err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	if n := deletions(c.sim); n != 8 {
		t.Errorf("%d deletions", n)
	}
	c.verify()
}
