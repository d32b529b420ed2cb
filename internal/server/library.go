package server

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/mark3labs/mcp-go/mcp"

	"github.com/scnet-mcp/scnet-mcp/internal/toolbox"
	"github.com/scnet-mcp/scnet-mcp/internal/upstream"
	"github.com/scnet-mcp/scnet-mcp/prompts"
)

// lasting is how long a client may keep a list before it asks again, in the era where results say so. A caller whose policy
// is narrowed meanwhile sees what was withdrawn for so long; calling it is refused at once.
const lasting = 5 * time.Minute

// skillsExtension names the extension of the methods skills/list and skills/get (SEP-2640).
const skillsExtension = "io.modelcontextprotocol/skills"

// libraryMethods are answered here. mcp-go knows the first six only for lists that are the same for every caller, and the
// last two not at all. It is not told of any: so it checks the frame of their messages, says that there is no such method,
// and that answer is replaced.
var libraryMethods = map[string]func(*Server, context.Context, json.RawMessage) (found, error){
	string(mcp.MethodPromptsList):            (*Server).listPrompts,
	string(mcp.MethodPromptsGet):             (*Server).getPrompt,
	string(mcp.MethodResourcesList):          (*Server).listResources,
	string(mcp.MethodResourcesTemplatesList): (*Server).listTemplates,
	string(mcp.MethodResourcesRead):          (*Server).readResource,
	string(mcp.MethodCompletionComplete):     (*Server).complete,
	"skills/list":                            (*Server).listSkills,
	"skills/get":                             (*Server).getSkill,
}

// asksService reports whether a method may take as long as a service does.
func asksService(method string) bool {
	return slices.Contains([]mcp.MCPMethod{
		mcp.MethodToolsCall, mcp.MethodPromptsGet, mcp.MethodResourcesRead, mcp.MethodCompletionComplete,
	}, mcp.MCPMethod(method))
}

// found is a result with how long it may be kept.
type found struct {
	result mcp.ResultMetadata
	keep   time.Duration
}

// fromLibrary replaces mcp-go's answer that there is no such method.
func (s *Server) fromLibrary(ctx context.Context, m message, text []byte, reply mcp.JSONRPCMessage) mcp.JSONRPCMessage {
	answer, known := libraryMethods[m.Method]
	refused, failed := reply.(mcp.JSONRPCError)
	if !known || s.library == nil || !failed || refused.Error.Code != mcp.METHOD_NOT_FOUND {
		return reply
	}
	return s.guarded(func() mcp.JSONRPCMessage {
		var body struct {
			Params json.RawMessage `json:"params"`
		}
		_ = json.Unmarshal(text, &body) // a whole message was read before
		if len(body.Params) == 0 {
			body.Params = json.RawMessage(`{}`)
		}
		modern := mcp.IsModernProtocol(m.meta.version)
		var f found
		page, err := readParams[struct{ Cursor string }](body.Params)
		if err == nil && page.Cursor != "" { // lists have one page
			err = errParams
		}
		if err == nil {
			f, err = answer(s, ctx, body.Params)
		}
		if err != nil {
			return s.libraryError(m, body.Params, modern, err)
		}
		if modern {
			f.result.SetResultType(mcp.ResultTypeComplete)
			f.result.EnsureResultMeta().SetServerInfo(s.identity)
			if cacheable, ok := f.result.(mcp.CacheHintSetter); ok {
				cacheable.SetCacheHints(f.keep.Milliseconds(), mcp.CacheScopePrivate)
			}
		}
		return mcp.NewJSONRPCResultResponse(mcp.NewRequestId(nil), f.result)
	})
}

// errParams is wrapped by errors for parameters that are not of the form that their method wants.
var errParams = errors.New("the params are not of the form that this method wants")

// libraryError words why a request to the library failed, with the code that its era wants.
func (s *Server) libraryError(m message, params json.RawMessage, modern bool, err error) mcp.JSONRPCMessage {
	var call *prompts.CallError
	var arguments *prompts.ArgumentError
	isCall := errors.As(err, &call)
	code, words := mcp.INTERNAL_ERROR, err.Error()
	var data any
	switch {
	case errors.Is(err, prompts.ErrUnknown) && m.Method == string(mcp.MethodResourcesRead):
		if code = mcp.INVALID_PARAMS; !modern {
			code = mcp.RESOURCE_NOT_FOUND
		}
		if asked, _ := readParams[uriParams](params); len(asked.URI) <= maxID {
			data = map[string]any{"uri": asked.URI}
		}
	case errors.Is(err, prompts.ErrUnknown), errors.Is(err, errParams), errors.As(err, &arguments), isCall && call.Wrong:
		code = mcp.INVALID_PARAMS
	case !isCall:
		words = toolbox.Explain(s.tools.Lang(), err)
	}
	return mcp.NewJSONRPCError(mcp.NewRequestId(nil), code, words, data)
}

func readParams[T any](params json.RawMessage) (read T, err error) {
	if json.Unmarshal(params, &read) != nil {
		return read, errParams
	}
	return read, nil
}

// visitor is who asks on ctx, as the library sees the caller.
func (s *Server) visitor(ctx context.Context) prompts.Caller {
	box := s.toolbox(ctx)
	return prompts.Caller{
		Situation: s.situationOf(box),
		Policy:    func() (any, error) { return box.Allowed() },
		Call: func(ctx context.Context, tool string, arguments map[string]any) (prompts.Answer, error) {
			encoded, err := json.Marshal(arguments)
			if err != nil {
				return prompts.Answer{}, err
			}
			result, err := box.Call(s.log.WithContext(ctx), toolbox.Call{Tool: tool, Arguments: encoded, Caller: s.caller(ctx)})
			if err != nil {
				kind := toolbox.ProblemOf(err).Kind
				wrong := kind == string(upstream.Argument) || kind == string(upstream.NotFound)
				return prompts.Answer{}, &prompts.CallError{Text: toolbox.Explain(box.Lang(), err), Wrong: wrong}
			}
			return prompts.Answer{Data: result.Structured, Text: result.Text}, nil
		},
	}
}

// declare says what the library offers, and which extensions hold.
func (s *Server) declare(capabilities *mcp.ServerCapabilities) {
	extensions := map[string]any{}
	if s.oauth {
		for _, name := range oauthExtensions {
			extensions[name] = map[string]any{}
		}
		capabilities.Extensions = extensions
	}
	if s.library == nil {
		return
	}
	extensions[skillsExtension] = map[string]any{}
	capabilities.Extensions = extensions
	_ = json.Unmarshal([]byte(`{"prompts":{},"resources":{},"completions":{}}`), capabilities) // their types have no names
}

func (s *Server) listPrompts(ctx context.Context, _ json.RawMessage) (found, error) {
	list := &mcp.ListPromptsResult{Prompts: []mcp.Prompt{}}
	for _, p := range s.library.Prompts(s.visitor(ctx)) {
		described := mcp.Prompt{Name: p.Name, Title: p.Title, Description: p.Description}
		for _, a := range p.Arguments {
			described.Arguments = append(described.Arguments,
				mcp.PromptArgument{Name: a.Name, Description: a.Description, Required: a.Required})
		}
		list.Prompts = append(list.Prompts, described)
	}
	return found{list, lasting}, nil
}

func (s *Server) getPrompt(ctx context.Context, params json.RawMessage) (found, error) {
	asked, err := readParams[struct {
		Name      string
		Arguments map[string]any
	}](params)
	if err != nil {
		return found{}, err
	}
	p, texts, err := s.library.Prompt(ctx, s.visitor(ctx), asked.Name, asked.Arguments)
	if err != nil {
		return found{}, err
	}
	result := &mcp.GetPromptResult{Description: p.Description}
	for _, text := range texts {
		result.Messages = append(result.Messages, mcp.NewPromptMessage(mcp.RoleUser, mcp.NewTextContent(text)))
	}
	return found{result, 0}, nil
}

func describeResource(r prompts.Resource) mcp.Resource {
	described := mcp.Resource{URI: r.URI, Name: r.Name, Title: r.Title, Description: r.Description, MIMEType: r.MIMEType}
	if r.Size > 0 {
		size := int64(r.Size)
		described.Size = &size
	}
	return described
}

func (s *Server) listResources(ctx context.Context, _ json.RawMessage) (found, error) {
	list := &mcp.ListResourcesResult{Resources: []mcp.Resource{}}
	resources, _ := s.library.Resources(s.visitor(ctx))
	for _, r := range resources {
		list.Resources = append(list.Resources, describeResource(r))
	}
	return found{list, lasting}, nil
}

func (s *Server) listTemplates(ctx context.Context, _ json.RawMessage) (found, error) {
	list := &mcp.ListResourceTemplatesResult{ResourceTemplates: []mcp.ResourceTemplate{}}
	_, templates := s.library.Resources(s.visitor(ctx))
	for _, t := range templates {
		described := mcp.NewResourceTemplate(t.URI, t.Name,
			mcp.WithTemplateDescription(t.Description), mcp.WithTemplateMIMEType(t.MIMEType))
		described.Title = t.Title
		list.ResourceTemplates = append(list.ResourceTemplates, described)
	}
	return found{list, lasting}, nil
}

// uriParams are those of a method that is about one URI.
type uriParams struct{ URI string }

func (s *Server) readResource(ctx context.Context, params json.RawMessage) (found, error) {
	asked, err := readParams[uriParams](params)
	if err != nil {
		return found{}, err
	}
	content, err := s.library.Read(ctx, s.visitor(ctx), asked.URI)
	if err != nil {
		return found{}, err
	}
	result := &mcp.ReadResourceResult{Contents: []mcp.ResourceContents{
		mcp.TextResourceContents{URI: content.URI, MIMEType: content.MIMEType, Text: content.Text},
	}}
	if content.Lasting {
		return found{result, lasting}, nil
	}
	return found{result, 0}, nil
}

// complete answers with no values when they cannot be read: they only save typing.
func (s *Server) complete(ctx context.Context, params json.RawMessage) (found, error) {
	asked, err := readParams[struct {
		Ref      struct{ Type, Name, URI string }
		Argument struct{ Name, Value string }
		Context  struct{ Arguments map[string]string }
	}](params)
	if err != nil {
		return found{}, err
	}
	var of prompts.Reference
	switch asked.Ref.Type {
	case "ref/prompt":
		of.Prompt = asked.Ref.Name
	case "ref/resource":
		of.Template = asked.Ref.URI
	default:
		return found{}, errParams
	}
	completion, err := s.library.Complete(ctx, s.visitor(ctx), of, prompts.Typed{
		Argument: asked.Argument.Name, Value: asked.Argument.Value, Others: asked.Context.Arguments,
	})
	if errors.Is(err, prompts.ErrUnknown) {
		return found{}, err
	}
	if err != nil {
		s.log.Warn().Err(err).Msg("the values of an argument could not be read")
	}
	values := mcp.Completion{Values: completion.Values, HasMore: completion.More}
	if values.Values == nil {
		values.Values = []string{}
	}
	if !values.HasMore {
		values.Total = len(values.Values)
	}
	return found{&mcp.CompleteResult{Completion: values}, 0}, nil
}

// skill is one skill as the extension describes it.
type skill struct {
	URI         string          `json:"uri"`
	Frontmatter frontmatter     `json:"frontmatter"`
	Resources   []skillResource `json:"resources"`
}

type frontmatter struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

type skillResource struct {
	URI    string `json:"uri"`
	Digest string `json:"digest"`
	Size   int    `json:"size"`
}

func describeSkill(s prompts.Skill) skill {
	return skill{s.URI, frontmatter{s.Name, s.Description}, []skillResource{{s.URI, s.Digest(), len(s.Content)}}}
}

func (s *Server) listSkills(ctx context.Context, _ json.RawMessage) (found, error) {
	list := &struct {
		mcp.CacheableResult
		Skills []skill `json:"skills"`
	}{Skills: []skill{}}
	for _, one := range s.library.Skills(s.visitor(ctx)) {
		list.Skills = append(list.Skills, describeSkill(one))
	}
	return found{list, lasting}, nil
}

func (s *Server) getSkill(ctx context.Context, params json.RawMessage) (found, error) {
	asked, err := readParams[uriParams](params)
	if err != nil {
		return found{}, err
	}
	one, err := s.library.Skill(s.visitor(ctx), asked.URI)
	if err != nil {
		return found{}, err
	}
	return found{&struct {
		mcp.CacheableResult
		Skill skill `json:"skill"`
	}{Skill: describeSkill(one)}, lasting}, nil
}
