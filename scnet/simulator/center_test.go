package simulator

import (
	"strings"
	"testing"

	"github.com/scnet-mcp/scnet-mcp/internal/fakecloud/fakecloudtest"
)

func TestCenter(t *testing.T) {
	l := open(t, Options{})
	center := func(token string) result { return l.platform("GET", platformPath+"/center", token) }
	r := center(l.Token(kunshan)).want(t, "0")
	info := into[struct {
		ID              any
		Name            string
		ClusterUserInfo struct{ UserName, HomePath string }
		AIURLs          []struct{ Enable, URL string }
	}](t, r)
	eq(t, "id", info.ID, any(11250.0))
	eq(t, "name", info.Name, "华东一区【昆山】")
	eq(t, "home", info.ClusterUserInfo.HomePath, "/public/home/demo")
	eq(t, "aiUrls", info.AIURLs[0], struct{ Enable, URL string }{"true", l.RegionURL(kunshan)})

	r = center(l.Token("0")).want(t, "10001")
	eq(t, "message for the platform token", r.Msg, "internal_error")
	eq(t, "data for the platform token", into[string](t, r), "internal_error")
	center("").want(t, "10008")
	center(l.TokenExpiring(kunshan, fakecloudtest.Noon)).want(t, "10008")

	url := `"url":"` + l.RegionURL(kunshan)
	for _, c := range []struct {
		quirks Quirks
		want   string
	}{
		{Quirks{CenterArray: true}, `"data":[{`},
		{Quirks{CenterIDString: true}, `"id":"11250"`},
		{Quirks{}, `"aiUrls":[{"enable":"true",` + url + `","version":"2.4.3"}]`},
		{Quirks{}, `"hpcUrls":[{"enable":"true","isManagerNode":"true",` + url + `","version":"5.2.2"}]`},
		{Quirks{URLsWithService: true}, `"aiUrls":[{"enable":"true",` + url + `/ai","version":"2.4.3"}]`},
		{Quirks{URLsWithService: true}, url + `/hpc","version":"5.2.2"}]`},
		{Quirks{URLsWithService: true}, url + `/efile","version":"2.6.1"}]`},
		{Quirks{SecondFileURL: true}, url + `/second","version":"2.6.1"}]`},
		{Quirks{SecondFileURL: true, URLsWithService: true}, url + `/second/efile","version":"2.6.1"}]`},
		{Quirks{AIURLs: AIURLsEmpty}, `"aiUrls":[]`},
		{Quirks{AIURLs: AIURLsNull}, `"aiUrls":null`},
		{Quirks{AIURLDecoy: true}, `"aiUrls":[{"enable":"false","url":"http://127.0.0.1:9/ai","version":"2.4.3"},{"enable":"true",` + url},
		{Quirks{Enable: EnableBool}, `"aiUrls":[{"enable":true,`},
		{Quirks{Enable: EnableMissing}, `"aiUrls":[{"url":`},
		{Quirks{Enable: EnableFalseString}, `"aiUrls":[{"enable":"false",`},
		{Quirks{Enable: EnableFalseBool}, `"aiUrls":[{"enable":false,`},
	} {
		l.SetQuirks(c.quirks)
		if r := center(l.Token(kunshan)); !strings.Contains(r.raw, c.want) {
			t.Errorf("%+v: no %s in %s", c.quirks, c.want, r.raw)
		}
	}
}

// TestCluster asks a region for its scheduler, by the bare address as clients do.
func TestCluster(t *testing.T) {
	l := open(t, Options{})
	for _, region := range []string{kunshan, zhengzhou} { // one has no container service
		r := l.send("GET", l.RegionURL(region)+"/hpc/openapi/v2/cluster", "", "token", l.Token(region)).want(t, "0")
		found := into[[]struct {
			ID             int
			Text           string
			JobManagerType string
			JobManagerAddr string
			JobManagerPort int
		}](t, r)
		if len(found) != 1 || found[0].ID == 0 || found[0].Text == "" || found[0].JobManagerType != "SLURM" || found[0].JobManagerAddr == "" || found[0].JobManagerPort == 0 {
			t.Errorf("%s", r.raw)
		}
	}
	l.send("GET", l.RegionURL(kunshan)+"/hpc/openapi/v2/cluster", "", "token", l.Token(wuzhen)).want(t, "10008")
}
