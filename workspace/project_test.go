package workspace_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/workspace"
	"github.com/scnet-mcp/scnet-mcp/workspace/simulator"
)

func account(projects ...simulator.Project) simulator.Options {
	a := simulator.DemoAccount()
	a.Projects = projects
	return simulator.Options{Account: a}
}

func TestProjectDiscovery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		projects []simulator.Project
		words    []string // of the error; none for success
	}{
		"one":  {[]simulator.Project{{ID: "p1", Name: "cn-north-4"}, {ID: "p2", Name: "cn-south-1"}}, nil},
		"none": {[]simulator.Project{{ID: "p2", Name: "cn-south-1"}}, []string{"lists none with the name cn-north-4"}},
		"two":  {[]simulator.Project{{ID: "p1", Name: "cn-north-4"}, {ID: "p2", Name: "cn-north-4"}}, []string{"lists 2", "cn-north-4 (p1)", "cn-north-4 (p2)"}},
	} {
		sim := start(t, account(c.projects...))
		client := newClient(t, sim, discovers(sim), temporary)
		_, err := client.Execute(t.Context(), example)
		if c.words == nil {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		e := asError(t, err)
		if !errors.Is(err, workspace.ErrProject) || e.Uncertain || e.Op != "look up the project" || !strings.Contains(e.Hint.English, "HUAWEICLOUD_SDK_PROJECT_ID") {
			t.Errorf("%s: %+v", name, e)
		}
		for _, word := range c.words {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q is not in %q", name, word, err)
			}
		}
		wantSent(t, sim, simulator.OpExecute, 0)
	}
}

func TestProjectIsLookedUpOnce(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{})
	client := newClient(t, sim, discovers(sim))
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			if _, err := client.Scripts(t.Context(), workspace.ScriptFilter{}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	wantSent(t, sim, simulator.OpListProjects, 1)
	wantSent(t, sim, simulator.OpListScripts, 8)
}

func TestProjectLookUpFails(t *testing.T) {
	t.Parallel()
	sim := start(t, simulator.Options{})
	client := newClient(t, sim, discovers(sim))
	sim.Inject(simulator.Fault{Endpoint: simulator.OpListProjects, Code: "APIGW.0302", Status: 403, Message: "You are not authorized"})
	_, err := client.Execute(t.Context(), example)
	e := asError(t, err)
	if !errors.Is(err, workspace.ErrDenied) || e.Message != "You are not authorized" || e.Uncertain || !strings.Contains(e.Hint.English, "HUAWEICLOUD_SDK_PROJECT_ID") {
		t.Errorf("%+v, hint %q", e, e.Hint.English)
	}
	sim.ClearFaults()
	if _, err := client.Execute(t.Context(), example); err != nil {
		t.Errorf("a failed look-up is kept: %v", err)
	}
	wantSent(t, sim, simulator.OpExecute, 1)
}

func TestProjectAnswers(t *testing.T) {
	t.Parallel()
	for _, body := range []string{``, `{}`, `[]`, `<html>`, `{"projects":[{"id":"../x"}]}`, `{"projects":[{"name":"cn-north-4"}]}`} {
		client, err := workspace.New(workspace.Config{
			AccessKey: workspace.NewSecret("a"), SecretKey: workspace.NewSecret("s"), Region: "cn-north-4",
			Transport: fakecloudtest.Canned(200, body),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Execute(t.Context(), example); !errors.Is(err, workspace.ErrMalformed) || asError(t, err).Uncertain {
			t.Errorf("%q: %v", body, err)
		}
	}
}

func TestOneCallerDoesNotWaitForAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := simulator.New(simulator.Options{Now: time.Now})
		client := newClient(t, sim, inside(sim, time.Now), func(c *workspace.Config) {
			c.ProjectID, c.Region, c.IAMEndpoint = "", "cn-north-4", "https://iam.test"
		})
		sim.Inject(simulator.Fault{Endpoint: simulator.OpListProjects, Latency: 10 * time.Second})
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := client.Scripts(t.Context(), workspace.ScriptFilter{}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait() // until the look-up is under way
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := client.Execute(ctx, example)
		if e := asError(t, err); !errors.Is(err, context.DeadlineExceeded) || e.Delivery != upstream.NotSent || e.Uncertain || time.Since(began) != time.Second {
			t.Errorf("%+v after %s", e, time.Since(began))
		}
		wait.Wait()
		wantSent(t, sim, simulator.OpListProjects, 1)
		wantSent(t, sim, simulator.OpExecute, 0)
	})
}
