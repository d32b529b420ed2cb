package simulator

import (
	"testing"
)

func TestResources(t *testing.T) {
	l := open(t, Options{})
	for _, c := range []struct{ query, code string }{
		{"", "10003"},
		{"?acceleratorType=gpu", "10003"},
		{"?resourceGroup=TeslaM40", "10003"},
		{"?acceleratorType=tpu&resourceGroup=TeslaM40", "10004"},
		{"?acceleratorType=gpu&resourceGroup=none", "10004"},
		{"?acceleratorType=dcu&resourceGroup=TeslaM40", "10004"},
	} {
		l.do(kunshan, "GET", "instance-service/resources"+c.query, "").want(t, c.code)
	}
	r := l.do(kunshan, "GET", "instance-service/resources?acceleratorType=gpu&resourceGroup=TeslaM40", "").want(t, "0")
	eq(t, "limits", string(r.Data), `{"cpuNumber":40,"dcuLimits":0,"gpuNumber":2,"id":null,"maxTime":"unlimited","memorySize":31888,`+
		`"mluLimits":0,"nodeNumber":1,"nvLimits":0,"resourceGroup":"TeslaM40","userName":null}`)
}

func TestGroupsAndMounts(t *testing.T) {
	l := open(t, Options{})
	r := l.do(kunshan, "GET", "instance-service/resource-group", "").want(t, "0")
	eq(t, "groups", string(r.Data), `{"cpu":[{"id":"cpu-share","name":"cpu-share","acceleratorType":"cpu"}],`+
		`"dcu":[{"id":"kshdtest","name":"kshdtest","acceleratorType":"dcu"}],"gpu":[{"id":"TeslaM40","name":"TeslaM40","acceleratorType":"gpu"}]}`)
	r = l.do(kunshan, "GET", "instance-service/allowed-mount-dir", "").want(t, "0")
	eq(t, "mounts", string(r.Data), `[{"path":"/public/home/demo","mountType":"path","description":"家目录"},`+
		`{"path":"/public/share","mountType":"data","description":"共享数据"}]`)
}

func TestImages(t *testing.T) {
	l := open(t, Options{})
	images := func(body string) result { return l.do(kunshan, "POST", "image/images", body) }
	for _, body := range []string{
		``,
		`{"orderBy":"create_time","limit":9,"start":0,"sort":"DESC"}`,
		`{"access":"public","limit":9,"start":0,"sort":"DESC"}`,
		`{"access":"public","orderBy":"create_time","start":0,"sort":"DESC"}`,
		`{"access":"public","orderBy":"create_time","limit":9,"sort":"DESC"}`,
		`{"access":"public","orderBy":"create_time","limit":9,"start":0}`,
	} {
		images(body).want(t, "10003")
	}
	for _, body := range []string{
		`{"access":"secret","orderBy":"create_time","limit":9,"start":0,"sort":"DESC"}`,
		`{"access":"public","orderBy":"size","limit":9,"start":0,"sort":"DESC"}`,
		`{"access":"public","orderBy":"create_time","limit":9,"start":0,"sort":"down"}`,
	} {
		images(body).want(t, "10004")
	}
	type list struct {
		Total         int
		Data, Records []struct {
			Name, Version, Path string
			IsPresetImage       bool
		}
	}
	for _, c := range []struct {
		body  string
		names string
		total int
	}{
		{`{"access":"public","orderBy":"create_time","limit":9,"start":0,"sort":"DESC"}`, "jupyterlab-pytorch pytorch ubuntu ", 3},
		{`{"access":"public","orderBy":"clone_times","limit":9,"start":0,"sort":"asc"}`, "ubuntu pytorch jupyterlab-pytorch ", 3},
		{`{"access":"public","orderBy":"create_time","limit":1,"start":1,"sort":"DESC"}`, "pytorch ", 3},
		{`{"access":"public","orderBy":"create_time","limit":9223372036854775807,"start":9223372036854775807,"sort":"DESC"}`, "", 3},
		{`{"access":"private","orderBy":"share_time","limit":9,"start":0,"sort":"DESC"}`, "qwen-env ", 1},
		{`{"access":"public","orderBy":"create_time","limit":9,"start":0,"sort":"DESC","name":"pytorch:1.2"}`, "pytorch ", 1},
		{`{"access":"public","orderBy":"create_time","limit":9,"start":0,"sort":"DESC","type":"Base"}`, "ubuntu ", 1},
		{`{"access":"public","orderBy":"create_time","limit":9,"start":0,"sort":"DESC","acceleratorType":"dcu"}`, "jupyterlab-pytorch ", 1},
	} {
		got := into[list](t, images(c.body).want(t, "0"))
		names := ""
		for _, im := range got.Data {
			names += im.Name + " "
		}
		eq(t, c.body, names, c.names)
		eq(t, c.body+" total", got.Total, c.total)
	}
	l.SetQuirks(Quirks{ImagesRecords: true})
	got := into[list](t, images(`{"access":"public","orderBy":"create_time","limit":9,"start":0,"sort":"DESC"}`))
	eq(t, "records", len(got.Records), 3)
}
