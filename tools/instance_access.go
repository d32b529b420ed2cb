package tools

import (
	"context"
	"net/netip"
	"net/url"
	"strings"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/scnet"
)

// InstanceAccess is where the user opens an instance, or why that is not told.
type InstanceAccess struct {
	URL    string    `json:"url,omitempty" jsonschema_description:"A secret for the user: anyone with this address can use the instance. Absent: reason says why"`
	Reason lang.Text `json:"reason,omitzero" jsonschema_description:"Why there is no url"`
	Note   lang.Text `json:"note,omitzero" jsonschema_description:"What to know about the url"`
}

var (
	accessIsSecret = lang.T("This address is a secret: anyone with this address can use the instance. Give it to the user and to nobody else, and store it nowhere.")
	inConsole      = lang.T("Tell the user to open the SCNet console (https://www.scnet.cn/ui/console/index.html): in it, the Jupyter or SSH entry of the " +
		"instance works while the instance is Running.")
)

const maxAddress = 2048 // bytes of an access address

// access looks up the address of an instance for a caller, or says why it is not told and what to do instead. Whoever has the
// address can change everything in the instance, so the policy is asked as for a change, at this moment.
func access(ctx context.Context, live guard.Live, l located) (access InstanceAccess, next lang.Text) {
	status := l.instance.Status
	policy, err := live()
	if err == nil {
		err = policy.PermitsAccess(guard.Target{ID: l.instance.ID, Name: l.instance.Name, Region: l.region.ID,
			RegionName: l.region.Name})
	}
	switch {
	case strings.EqualFold(l.instance.TaskType, "ssh"):
		return InstanceAccess{Reason: lang.T("an instance of the type ssh has no web address")}, inConsole
	case err != nil:
		return InstanceAccess{Reason: lang.ErrorText(err)}, inConsole
	case status.Is(scnet.Waiting), status.Is(scnet.Deploying):
		return InstanceAccess{Reason: lang.T("the address exists only while the instance is Running; it is %s", status)},
			lang.T("%s and show_access=true.", lookAt(l.instance.ID, "Running"))
	case status.Is(scnet.Terminated), status.Is(scnet.Failed), status.Is(scnet.Completed):
		return InstanceAccess{Reason: lang.T("the address exists only while the instance is Running; it is %s", status)},
			lang.T("Start it with restart_instance. Then: %s and show_access=true.", lookAt(l.instance.ID, "Running"))
	}
	secret, err := l.region.AccessURL(ctx, l.instance.ID)
	if err != nil {
		return InstanceAccess{Reason: lang.T("SCNet does not tell it now: %s", toolbox.Briefly(err))}, inConsole
	}
	address, note, ok := shownAddress(secret.Reveal())
	if !ok {
		return InstanceAccess{Reason: lang.T("what SCNet answers is not a web address")}, inConsole
	}
	return InstanceAccess{URL: address, Note: note}, lang.Text{}
}

// shownAddress returns an access address in a form that a browser takes, and what the user has to know about it. What is not
// a web address is not shown at all.
func shownAddress(answered string) (address string, note lang.Text, ok bool) {
	u, err := url.Parse(answered)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || len(answered) > maxAddress {
		return "", lang.Text{}, false
	}
	if address = u.String(); text.Line(address, maxAddress) != address {
		return "", lang.Text{}, false
	}
	note = accessIsSecret
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.IsPrivate() {
		note = lang.Sentences(note, lang.T("%s is a private address, which opens only from a network that leads there; otherwise the SCNet console does.", ip))
	}
	return address, note, true
}

// write tells people and models.
func (a InstanceAccess) write(l lang.Lang, b *strings.Builder) {
	if a.URL == "" {
		l.Fprintf(b, "Access address: not shown: %s.\n", a.Reason)
		return
	}
	l.Fprintf(b, "Access address: %s\n%s\n", a.URL, a.Note)
}
