package workspace_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
	"github.com/scnet-mcp/scnet-mcp/workspace"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	good := workspace.Config{AccessKey: workspace.NewSecret("ak"), SecretKey: workspace.NewSecret("s3cret-key"), Region: "cn-north-4"}
	for name, c := range map[string]struct {
		change change
		want   []string // words of the error; none for success
	}{
		"region":                   {func(*workspace.Config) {}, nil},
		"endpoint and project":     {func(c *workspace.Config) { c.Region, c.Endpoint, c.ProjectID = "", "https://cloud.example/ws/", "p1" }, nil},
		"loopback":                 {func(c *workspace.Config) { c.Endpoint, c.ProjectID = "http://127.0.0.1:1", "p" }, nil},
		"private cloud with IAM":   {func(c *workspace.Config) { c.Endpoint, c.IAMEndpoint = "https://cloud.example", "https://iam.example" }, nil},
		"public endpoint":          {func(c *workspace.Config) { c.Endpoint = "https://workspace.cn-north-4.myhuaweicloud.com" }, nil},
		"nothing":                  {func(c *workspace.Config) { *c = workspace.Config{} }, []string{"access key is missing", "secret key is missing", "region is missing"}},
		"half a key":               {func(c *workspace.Config) { c.SecretKey = workspace.Secret{} }, []string{"the secret key is missing"}},
		"token alone":              {func(c *workspace.Config) { *c = workspace.Config{SecurityToken: c.SecretKey, Region: "r"} }, []string{"access key is missing"}},
		"no project":               {func(c *workspace.Config) { c.Region, c.Endpoint = "", "https://cloud.example" }, []string{"project id is missing", "region"}},
		"private cloud, no IAM":    {func(c *workspace.Config) { c.Endpoint = "https://myhuaweicloud.com.example" }, []string{"project id is missing", "IAM endpoint"}},
		"host in the region":       {func(c *workspace.Config) { c.Region = "evil.example/" }, []string{"region must look like"}},
		"upper case":               {func(c *workspace.Config) { c.Region = "CN-North-4" }, []string{"region must look like"}},
		"path in the project":      {func(c *workspace.Config) { c.ProjectID = "../p" }, []string{"project id must be"}},
		"http":                     {func(c *workspace.Config) { c.Endpoint = "http://workspace.cn-north-4.myhuaweicloud.com" }, []string{"endpoint: only https"}},
		"IAM over http":            {func(c *workspace.Config) { c.IAMEndpoint = "http://iam.example" }, []string{"IAM endpoint: only https"}},
		"query":                    {func(c *workspace.Config) { c.Endpoint, c.ProjectID = "https://cloud.example?x=1", "p" }, []string{"query"}},
		"line break in a key":      {func(c *workspace.Config) { c.SecretKey = workspace.NewSecret("s3cret-key\n") }, []string{"line break"}},
		"space round a token":      {func(c *workspace.Config) { c.SecurityToken = workspace.NewSecret(" s3cret-key") }, []string{"spaces around"}},
		"user name in an endpoint": {func(c *workspace.Config) { c.Endpoint, c.ProjectID = "https://u:s3cret-key@h.example", "p" }, []string{"user name"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := good
			c.change(&cfg)
			client, err := workspace.New(cfg)
			if (err == nil) != (c.want == nil) || (client == nil) == (err == nil) {
				t.Fatalf("New = %v, %v", client, err)
			}
			if err == nil {
				client.Close()
				return
			}
			if !errors.Is(err, workspace.ErrConfig) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("err = %v", err)
			}
			for _, word := range c.want {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q is not in %q", word, err)
				}
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change change
		want   []string
	}{
		{func(c *workspace.Config) { c.Region = "cn-north-4" }, []string{"iam.cn-north-4.myhuaweicloud.com/v3/projects", "workspace.cn-north-4.myhuaweicloud.com/v2/p9/scripts"}},
		{func(c *workspace.Config) { c.Region = "eu-west-101" }, []string{"iam.eu-west-101.myhuaweicloud.eu/v3/projects", "workspace.eu-west-101.myhuaweicloud.com/v2/p9/scripts"}},
		{func(c *workspace.Config) { c.Region, c.ProjectID = "tr-west-1", "px" }, []string{"workspace.tr-west-1.myhuaweicloud.com/v2/px/scripts"}},
		{func(c *workspace.Config) { c.Endpoint, c.ProjectID = "https://cloud.example:8443/ws/", "px" }, []string{"cloud.example:8443/ws/v2/px/scripts"}},
		{func(c *workspace.Config) {
			c.Endpoint, c.IAMEndpoint, c.Region = "https://cloud.example", "https://iam.example/base/", "private-1"
		}, []string{"iam.example/base/v3/projects", "cloud.example/v2/p9/scripts"}},
	} {
		var got []string
		cfg := workspace.Config{AccessKey: workspace.NewSecret("a"), SecretKey: workspace.NewSecret("s"), Transport: fakecloudtest.RoundTrip(func(r *http.Request) (*http.Response, error) {
			got = append(got, r.URL.Host+r.URL.Path)
			return fakecloudtest.Answer(200, `{"projects":[{"id":"p9","name":"x"}],"count":0}`), nil
		})}
		c.change(&cfg)
		client, err := workspace.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if _, err := client.Scripts(t.Context(), workspace.ScriptFilter{}); err != nil {
				t.Fatal(err)
			}
		}
		want := slices.Concat(c.want, c.want[len(c.want)-1:]) // the project is looked up once
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
