package prompts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// Resource is something that a person can attach to a conversation.
type Resource struct {
	URI         string // of a template: with {id}
	Name        string
	Title       string
	Description string
	MIMEType    string
	Size        int  // in bytes; 0: not known before it is read
	Lasting     bool // it changes seldom, and may be kept for as long as a list
}

// Content is what was read of a Resource.
type Content struct {
	Resource
	Text string
}

// The resources of SCNet.
const (
	regionsURI   = "scnet://regions"
	codesURI     = "scnet://error-codes"
	policyURI    = "scnet://policy"
	instancesURI = "scnet://instances/" // the id follows
	instanceURIs = instancesURI + "{id}"
	idVariable   = "id"

	jsonType     = "application/json"
	markdownType = "text/markdown"
)

// offer is a resource with the tools that tell what is in it. A caller is offered it who is offered one of them.
type offer struct {
	uri, name          string
	title, description words
	tools              []string
	lasting            bool
	read               func(l *Library, ctx context.Context, c Caller, id string) (any, error)
}

var offers = []offer{
	{
		regionsURI, "regions", words{"Regions", "区域"},
		words{"The regions of the SCNet account, with ids and names", "SCNet 账号的区域及其 ID 和名称"},
		[]string{toolListInstances}, true, (*Library).readRegions,
	},
	{
		codesURI, "error-codes", words{"Error codes", "错误码"},
		words{"What SCNet's error codes mean, and what to do about each", "SCNet 错误码的含义和处理方法"},
		[]string{toolListInstances, toolGetInstance}, true, (*Library).readCodes,
	},
	{
		policyURI, "policy", words{"Policy", "策略"},
		words{
			"What the operator allows you: tools, the consent that each needs, limits",
			"运维人员允许的范围：工具、各工具的变更确认方式、上限",
		},
		nil, false, (*Library).readPolicy,
	},
	{
		instanceURIs, "instance", words{"Instance", "容器实例"},
		words{"One container instance by its id: status, size, time left, mounts", "按 ID 查看一个容器实例：状态、规格、剩余时间、挂载"},
		[]string{toolGetInstance}, false, (*Library).readInstance,
	},
}

func (o offer) to(c Caller) bool {
	return o.tools == nil || slices.ContainsFunc(o.tools, func(t string) bool { return c.offered(t) })
}

func (o offer) resource(l Language) Resource {
	return Resource{
		URI: o.uri, Name: o.name, Title: o.title.in(l), Description: o.description.in(l),
		MIMEType: jsonType, Lasting: o.lasting,
	}
}

// Resources returns what the caller can read: resources, skills among them, and templates of their URIs.
func (l *Library) Resources(c Caller) (resources, templates []Resource) {
	for _, o := range offers {
		switch {
		case !o.to(c):
		case o.uri == instanceURIs:
			templates = append(templates, o.resource(l.Language))
		default:
			resources = append(resources, o.resource(l.Language))
		}
	}
	for _, s := range l.Skills(c) {
		resources = append(resources, s.resource())
	}
	return resources, templates
}

func (s Skill) resource() Resource {
	return Resource{
		URI: s.URI, Name: s.Name, Title: s.Title, Description: s.Description,
		MIMEType: markdownType, Size: len(s.Content), Lasting: true,
	}
}

// Read reads a resource. Its error wraps ErrUnknown if the caller is not offered one with this URI, or is a *CallError.
func (l *Library) Read(ctx context.Context, c Caller, uri string) (Content, error) {
	if strings.HasPrefix(uri, skillURI) {
		s, err := l.Skill(c, uri)
		return Content{s.resource(), s.Content}, err
	}
	o, id, found := locate(uri)
	if !found || !o.to(c) {
		return Content{}, l.unknownURI(c, uri)
	}
	value, err := o.read(l, ctx, c, id)
	if failed := (*CallError)(nil); errors.As(err, &failed) && failed.Wrong {
		return Content{}, fmt.Errorf("%q %w: %w", uri, ErrUnknown, failed)
	}
	if err != nil {
		return Content{}, err
	}
	encoded, err := json.Marshal(value)
	resource := o.resource(l.Language)
	resource.URI = uri
	return Content{resource, string(encoded)}, err
}

func (l *Library) unknownURI(c Caller, uri string) error {
	resources, templates := l.Resources(c)
	var valid []string
	for _, r := range append(resources, templates...) {
		valid = append(valid, r.URI)
	}
	return unknown("resource", uri, valid)
}

// locate returns what a URI is of, and the id in it. URIs are compared as they are: none of ours needs an escape.
func locate(uri string) (o offer, id string, found bool) {
	id, ofInstance := strings.CutPrefix(uri, instancesURI)
	if ofInstance && !text.IsID(id) {
		return offer{}, "", false
	}
	for _, o := range offers {
		switch {
		case ofInstance && o.uri == instanceURIs:
			return o, id, true
		case !ofInstance && o.uri == uri && uri != instanceURIs:
			return o, "", true
		}
	}
	return offer{}, "", false
}

func (l *Library) readInstance(ctx context.Context, c Caller, id string) (any, error) {
	answer, err := c.Call(ctx, toolGetInstance, map[string]any{"instance_id": id})
	return answer.Data, err
}

func (*Library) readPolicy(_ context.Context, c Caller, _ string) (any, error) { return c.Policy() }

// regionRow is a region in a resource.
type regionRow struct {
	ID        string `json:"id"`
	Name      string `json:"name,omitempty"`
	Suspended bool   `json:"suspended"` // the account cannot use it before a top-up
}

func (l *Library) readRegions(ctx context.Context, _ Caller, _ string) (any, error) {
	regions, err := l.regions(ctx)
	rows := []regionRow{}
	for _, r := range regions {
		rows = append(rows, regionRow{text.Field(r.ID), text.Field(r.Name), r.Suspended})
	}
	return map[string]any{"regions": rows}, err
}

// codeRow is an error code in a resource.
type codeRow struct {
	Code    string `json:"code"`
	Meaning string `json:"meaning"`
	Hint    string `json:"hint,omitempty"`
}

func (l *Library) readCodes(context.Context, Caller, string) (any, error) {
	rows := []codeRow{}
	for _, c := range scnet.Codes() {
		meaning, hint := words{c.Meaning.English, c.Meaning.Chinese}, words{c.Hint.English, c.Hint.Chinese}
		rows = append(rows, codeRow{c.Code, meaning.in(l.Language), hint.in(l.Language)})
	}
	return map[string]any{"codes": rows}, nil
}
