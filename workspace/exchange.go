package workspace

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/lenient"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
)

const (
	callTimeout = 30 * time.Second // one try

	maxJSONBody = 1 << 20 // bytes of an answer
	// maxTextBody is for answers that carry a script or its output; the service documents no limit for the latter.
	maxTextBody = 4 << 20
)

// call is one request.
type call struct {
	op      string
	method  string
	path    string // below /v2/{project_id}
	query   url.Values
	body    any // sent as JSON; nil sends none
	write   bool
	maxBody int64 // default maxJSONBody
	isList  bool  // whoever decodes the answer looks for an error code

	// settle is how the caller finds out whether a write of unknown outcome has happened.
	settle upstream.Text

	url     string // the address as it was sent, for messages
	secrets []string
}

// do sends call to the service and returns a 2xx answer, or an *Error.
func (c *Client) do(ctx context.Context, call *call) (*upstream.Response, error) {
	project, err := c.projectID(ctx)
	if err != nil {
		return nil, err
	}
	return c.exchange(ctx, call, c.cfg.Endpoint+"/v2/"+project+call.path, http.Header{"X-Project-Id": {project}})
}

// exchange signs call and sends it to address. header is signed as well.
func (c *Client) exchange(ctx context.Context, call *call, address string, header http.Header) (*upstream.Response, error) {
	call.url = address
	if len(call.query) > 0 {
		call.url += "?" + canonicalQuery(call.query)
	}
	u, err := upstream.CheckURL(call.url)
	if err != nil {
		return nil, call.invalid(err) // New has checked it already
	}
	var body []byte
	if call.body != nil {
		if body, err = json.Marshal(call.body); err != nil {
			return nil, call.invalid(err)
		}
	}
	if c.cfg.SecurityToken.IsSet() {
		header.Set("X-Security-Token", c.cfg.SecurityToken.Reveal())
	}
	sign(call.method, u, header, body, c.cfg.AccessKey.Reveal(), c.cfg.SecretKey.Reveal(), c.cfg.Now())
	if body != nil {
		header.Set("Content-Type", "application/json")
	}
	if c.cfg.UserAgent != "" {
		header.Set("User-Agent", c.cfg.UserAgent)
	}
	_, signature, _ := strings.Cut(header.Get("Authorization"), "Signature=")
	call.secrets = []string{signature, c.cfg.SecretKey.Reveal(), c.cfg.SecurityToken.Reveal(), c.cfg.AccessKey.Reveal()}

	maxBody := call.maxBody
	if maxBody == 0 {
		maxBody = maxJSONBody
	}
	resp, err := c.upstream.Do(ctx, upstream.Request{
		Method: call.method, URL: call.url, Header: header, Body: body,
		Write: call.write, Timeout: callTimeout, MaxBody: maxBody,
	})
	var f *Error
	if errors.As(err, &f) {
		return nil, call.fail(*f)
	}
	resp.Body = upstream.Mask(resp.Body, call.secrets...)
	if resp.Status < 200 || resp.Status > 299 || !call.isList && hasErrorCode(resp.Body) {
		return nil, call.answerError(resp)
	}
	return resp, nil
}

// hasErrorCode reports whether an answer with a status of success says that it failed.
func hasErrorCode(body []byte) bool {
	var answer struct {
		ErrorCode text `json:"error_code"`
	}
	return lenient.Unmarshal(body, &answer) == nil && answer.ErrorCode != ""
}

// redact masks the credentials that the call carried, should the service repeat one of them.
func (call *call) redact(text string) string {
	for _, s := range call.secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[secret]")
		}
	}
	return text
}
