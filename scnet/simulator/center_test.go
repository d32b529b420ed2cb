package simulator

import (
	"strings"
	"testing"
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
	eq(t, "aiUrls", info.AIURLs[0], struct{ Enable, URL string }{"true", l.RegionURL(kunshan) + "/ai"})

	r = center(l.Token("0")).want(t, "10001")
	eq(t, "message for the platform token", r.Msg, "internal_error")
	eq(t, "data for the platform token", into[string](t, r), "internal_error")
	center("").want(t, "10008")
	center(l.TokenExpiring(kunshan, noon)).want(t, "10008")

	url := `"url":"` + l.RegionURL(kunshan)
	for _, c := range []struct {
		quirks Quirks
		want   string
	}{
		{Quirks{CenterArray: true}, `"data":[{`},
		{Quirks{CenterIDString: true}, `"id":"11250"`},
		{Quirks{AIURLBare: true}, `"aiUrls":[{"enable":"true",` + url + `","version":"2.4.3"}]`},
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
