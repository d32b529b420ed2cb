package capture

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scnet-mcp/scnet-mcp/scnet"
)

func FuzzRecord(f *testing.F) {
	whole := "scnet-mcp-run 1 " + string(testID) + "\nname=c\nstate=exited\nexit=3\nstart=1\nend=5\nshell=sh\nuid=0\nout_bytes=4\nerr_bytes=0\nend_of_record\n"
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(strings.Replace(whole, "exit=3", "exit=3\nexit=0", 1))
	f.Add(`{"code":"911020","data":null}`)
	f.Fuzz(func(t *testing.T, content string) {
		rec, err := parseRecord(content, testID)
		if err != nil {
			return
		}
		if rec.out < 0 || rec.errOut < 0 || rec.exit < 0 || rec.exit > 255 || rec.end.Before(rec.start) || !strings.HasSuffix(content, "\nend_of_record\n") {
			t.Errorf("%+v of %q", rec, content)
		}
	})
}

func FuzzSurvey(f *testing.F) {
	f.Add("c.started", true, false)
	f.Add("../x.done", true, false)
	f.Fuzz(func(t *testing.T, name string, regular, link bool) {
		for container := range survey([]scnet.File{{Name: name, Regular: regular, Symlink: link}}) {
			if strings.ContainsAny(container, "/.,") || !regular || link {
				t.Errorf("%q is taken for the container %q", name, container)
			}
		}
	})
}

func TestIDs(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 5, 0, time.UTC)
	id := NewID(now)
	if parsed, ok := ParseID(string(id)); !ok || parsed != id || !id.Time().Equal(now) || id == NewID(now) {
		t.Errorf("%q at %s", id, id.Time())
	}
	for _, bad := range []string{"", "x", string(id) + "/", "../" + string(id), strings.ToUpper(string(id)), string(id) + "\n", "20261340T000000Z" + string(id)[16:]} {
		if _, ok := ParseID(bad); ok {
			t.Errorf("%q is taken for an id", bad)
		}
	}
}

func TestBases(t *testing.T) {
	const home = "/public/home/u"
	mount := func(source, target, kind string) scnet.Mount {
		return scnet.Mount{Source: source, Target: target, Type: kind}
	}
	for name, c := range map[string]struct {
		mounts []scnet.Mount
		wanted string
		want   []string
		inside []string
	}{
		"nothing":        {nil, "", []string{home}, []string{home + "/.r", "/root/private_data/"}},
		"wanted":         {[]scnet.Mount{mount(home, "/h", "path")}, "/x", []string{"/x"}, []string{"/x/.r", "/root/private_data/"}},
		"home or above":  {[]scnet.Mount{mount("/public/", "/mnt", "path")}, "", []string{home}, []string{"/mnt/home/u/.r", home + "/.r"}},
		"below the home": {[]scnet.Mount{mount(home+"/a", "/a", "path")}, "", []string{home + "/a", home}, []string{"/a/.r", home + "/a/.r"}},
		"data is last": {[]scnet.Mount{mount("/d", "/d", "data"), mount("/p", "/q", "path")}, "", []string{"/p", "/d", home},
			[]string{"/q/.r", "/p/.r"}},
		"unsafe target": {[]scnet.Mount{mount("/p", "/q$(id)", "path")}, "", []string{"/p", home}, []string{"/p/.r", "/root/private_data/"}},
	} {
		in := scnet.Instance{Mounts: c.mounts}
		got := bases(in, home, c.wanted)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		where := inside(in, got[0]+"/.r", testID)
		for i, want := range c.inside {
			if i >= len(where) || !strings.HasPrefix(where[i], want) {
				t.Errorf("%s: inside %q, want %q", name, where, c.inside)
			}
		}
	}
}

func TestWorst(t *testing.T) {
	for _, s := range States() {
		if Worst(s, "") != s || Worst("", s) != s || Worst(Succeeded, s) != s || Worst(s, Failed) != Failed {
			t.Errorf("%s", s)
		}
		if (Container{State: s, ExitCode: 137}).String() == "" {
			t.Errorf("%s has no words", s)
		}
	}
}
