package simulator

import (
	"strconv"
	"strings"
)

// center describes the one region a token belongs to, page get-center-info. The platform's token does not do; what it gets
// has a string for data.
func (c *call) center() reply {
	t, valid := c.sim.valid(c.header.Get("token"), c.now)
	if !valid {
		return fail(codeForbidden)
	}
	r := c.sim.region(t.ClusterID)
	if r == nil {
		return reply{code: codeInternal, msg: "internal_error", data: "internal_error"}
	}
	q := c.quirks
	at := func(service string) string {
		if q.URLsWithService {
			return r.host.url + service
		}
		return r.host.url
	}
	aiURLs := []map[string]any{}
	if q.AIURLDecoy {
		// Nothing listens on the discard port.
		aiURLs = append(aiURLs, map[string]any{"enable": "false", "version": "2.4.3", "url": "http://127.0.0.1:9/ai"})
	}
	aiURLs = append(aiURLs, c.service(at("/ai"), "2.4.3", nil))
	switch q.AIURLs {
	case AIURLsEmpty:
		aiURLs = aiURLs[:0]
	case AIURLsNull:
		aiURLs = nil
	}
	efileURLs := []any{c.service(at("/efile"), "2.6.1", map[string]any{
		"nodeName": "efile01", "fastTransEnable": "true", "udpPort": "65104"})}
	if q.SecondFileURL {
		url := strings.Replace(at("/efile"), r.host.url, r.host.url+secondBackEnd, 1)
		efileURLs = append(efileURLs, c.service(url, "2.6.1", map[string]any{"nodeName": "efile02"}))
	}
	info := map[string]any{
		"id":              r.ID,
		"name":            r.Name,
		"description":     r.Name,
		"clusterUserInfo": map[string]string{"userName": r.ClusterUser, "homePath": r.HomePath},
		"ingressUrls":     []any{c.service(c.sim.main.url, "5.2.2", map[string]any{"isManagerNode": "true"})},
		"efileUrls":       efileURLs,
		"eshellUrls":      []any{c.service(at("/eshell"), "2.4.3", nil)},
		"hpcUrls":         []any{c.service(at("/hpc"), "5.2.2", map[string]any{"isManagerNode": "true"})},
		"aiUrls":          aiURLs,
	}
	if n, err := strconv.Atoi(r.ID); err == nil && !q.CenterIDString {
		info["id"] = n
	}
	if q.CenterArray {
		return ok([]any{info})
	}
	return ok(info)
}

// service is one entry of the *Urls arrays; it takes over the given members.
func (c *call) service(url, version string, members map[string]any) map[string]any {
	if members == nil {
		members = map[string]any{}
	}
	members["url"], members["version"] = url, version
	switch c.quirks.Enable {
	case EnableString:
		members["enable"] = "true"
	case EnableBool:
		members["enable"] = true
	case EnableFalseString:
		members["enable"] = "false"
	case EnableFalseBool:
		members["enable"] = false
	}
	return members
}

// cluster is the scheduler of a region, which clients ask to see whether the region is usable. There is no page on it; the
// members are those that clients read.
func (c *call) cluster() reply {
	return ok([]map[string]any{{
		"id": 1640, "text": c.region.Name, "JobManagerType": "SLURM", "JobManagerAddr": "10.0.35.2", "JobManagerPort": 6817,
	}})
}
