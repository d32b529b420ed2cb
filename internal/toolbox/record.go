package toolbox

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/guard"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
	"github.com/scnet-mcp/scnet-mcp/internal/text"
	"github.com/scnet-mcp/scnet-mcp/internal/trace"
)

// attempt is one call of a change under way, with its audit record in the making.
type attempt struct {
	toolbox *Toolbox
	answer  *guard.Answer // that came with the call
	token   string        // of the preview that the call confirms
	record  audit.Record
	started time.Time
}

func (b *Toolbox) newAttempt(ctx context.Context, t Tool, call Call) *attempt {
	return &attempt{toolbox: b, answer: call.Answer, started: b.rules.Now(), record: audit.Record{
		Call: rand.Text()[:16], Tool: t.Name, Risk: string(t.Risk),
		Caller: call.Caller.Name, Client: call.Caller.Client, ClientVersion: call.Caller.ClientVersion,
		Issuer: call.Caller.Identity.Issuer, Subject: call.Caller.Identity.Subject, ClientID: call.Caller.Identity.ClientID,
		Transport: call.Caller.Transport,
		Server:    b.rules.Server, Trace: string(trace.From(ctx)),
	}}
}

// end is how the call ends for its caller.
func (a *attempt) end(result Result, err error) ending {
	return ending{result: result, err: err, consent: a.record.Consent}
}

// describe notes what the call is about.
func (a *attempt) describe(plan Plan, in any) {
	a.record.Region = plan.Where()
	for _, t := range plan.Targets {
		a.record.Targets = append(a.record.Targets,
			audit.Target{ID: text.Field(t.ID), Name: text.Field(t.Name), Status: text.Field(t.Status)})
	}
	a.record.Script = plan.Script
	a.record.Arguments = auditArguments(in)
}

func (a *attempt) noteDecision(ctx context.Context, d guard.Decision) {
	a.record.Consent, a.record.Token = d.Method, d.TokenID
	if d.Fault != nil {
		Logger(ctx).Error().AnErr("cause", d.Fault).Str("token", d.TokenID).Msg("the use of a preview token cannot be shared")
	}
}

// refuse records that the call was not carried out, and ends it.
func (a *attempt) refuse(ctx context.Context, err error, rule string) ending {
	var refusal *guard.Refusal
	if errors.As(err, &refusal) {
		rule = refusal.Rule
	}
	a.record.Event, a.record.Rule, a.record.Error = audit.Refused, rule, text.Field(withoutArguments(err).Error())
	a.write(ctx)
	return a.end(Result{}, err)
}

// refuseEarly ends a call before consent. An answer that came with it is consumed, and a no stays a no: its token could
// otherwise be redeemed elsewhere.
func (a *attempt) refuseEarly(ctx context.Context, err error, rule string) ending {
	decision, isNo := a.consumeAnswer(ctx)
	if !isNo {
		return a.refuse(ctx, err, rule)
	}
	a.noteDecision(ctx, decision)
	a.finish(ctx, audit.Declined, "", nil)
	return a.end(Result{}, &declinedError{notice: decision.Notice})
}

// consumeAnswer uses up an answer that cannot be acted on, and reports whether it is a no.
func (a *attempt) consumeAnswer(ctx context.Context) (decision guard.Decision, isNo bool) {
	if a.answer == nil {
		return decision, false
	}
	return a.toolbox.rules.Tokens.Decline(ctx, *a.answer), a.answer.IsNo()
}

// recordIntent records that the call is about to be carried out. Its error means that it must not be.
func (a *attempt) recordIntent(ctx context.Context) error {
	record := a.shown()
	record.Event, record.Time = audit.Intent, a.toolbox.rules.Now()
	if a.toolbox.rules.Audit == nil {
		return nil
	}
	err := a.toolbox.rules.Audit.Append(ctx, record)
	if err == nil {
		return nil
	}
	Logger(ctx).Error().Err(err).Msg("the audit log cannot be written")
	if a.toolbox.rules.AuditOptional {
		return nil
	}
	return lang.Errorf("the audit log cannot be written, so nothing was done: the operator wants every change recorded. Nothing was changed. The server's log has the cause")
}

// recordFailure records that the act ended with an error. After a fault of ours nothing is known of any target.
func (a *attempt) recordFailure(ctx context.Context, err error, targets []Target, plan Plan) {
	state := Failed
	a.record.Error = text.Field(err.Error())
	if Uncertain(err) {
		state = Unknown
		for _, t := range plan.Targets {
			if !t.Spared() {
				targets = append(targets, Target{ID: t.ID, Outcome: OutcomeUnknown})
			}
		}
	}
	a.finish(ctx, audit.Result, state, targets)
}

// finish records an event with its outcome, and reports whether the record was written.
func (a *attempt) finish(ctx context.Context, event audit.Event, state State, targets []Target) bool {
	a.record.Event, a.record.State, a.record.Outcomes = event, string(state), auditOutcomes(targets)
	return a.write(ctx)
}

// How long the record of a call that is over may take. The call itself may have been ended. A read has a record only when it
// is refused, and must not wait for a log that is held.
const (
	recordTime     = 5 * time.Second
	readRecordTime = 100 * time.Millisecond
)

func (a *attempt) write(ctx context.Context) bool {
	if a.toolbox.rules.Audit == nil {
		return true
	}
	a.record.Time = a.toolbox.rules.Now()
	a.record.DurationMS = a.record.Time.Sub(a.started).Milliseconds()
	// A call that was ended is recorded too.
	patience := recordTime
	if a.record.Risk == string(guard.Read) {
		patience = readRecordTime
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := a.toolbox.rules.Audit.Append(ctx, a.shown()); err != nil {
		Logger(ctx).Error().Err(err).Str("event", string(a.record.Event)).Msg("the audit log cannot be written")
		return false
	}
	return true
}

// hold notes the preview token that the call confirms, so that none of its records and targets shows it.
func (a *attempt) hold(token string) {
	if guard.TokenID(token) != "" { // anything else could be a part of any name
		a.token = strings.TrimSpace(token)
	}
}

// mask takes the token out of what a client or the service sent as an id or a name.
func (a *attempt) mask(words string) string {
	if a.token == "" {
		return words
	}
	return strings.ReplaceAll(words, a.token, "[preview_token]")
}

// maskText is mask for a text of ours.
func (a *attempt) maskText(words lang.Text) lang.Text {
	if a.token == "" {
		return words
	}
	return words.Map(a.mask)
}

// shown returns the record without the token.
func (a *attempt) shown() audit.Record {
	r := a.record
	r.Error = a.mask(r.Error)
	r.Targets, r.Outcomes = slices.Clone(r.Targets), slices.Clone(r.Outcomes)
	for i, t := range r.Targets {
		r.Targets[i] = audit.Target{ID: a.mask(t.ID), Name: a.mask(t.Name), Status: a.mask(t.Status)}
	}
	for i, o := range r.Outcomes {
		r.Outcomes[i] = audit.Outcome{ID: a.mask(o.ID), Outcome: o.Outcome, Code: a.mask(o.Code), NewID: a.mask(o.NewID)}
	}
	return r
}

// auditArguments returns the arguments of a call for an audit record: the values of fields with the tag audit:"plain",
// digests of the rest. Ids are among the targets, and a script may hold anything.
func auditArguments(in any) map[string]string {
	encoded, _ := json.Marshal(in) // argument structs always encode
	var values map[string]json.RawMessage
	if json.Unmarshal(encoded, &values) != nil {
		return nil
	}
	plain := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeOf(in)) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		plain[name] = field.Tag.Get("audit") == "plain"
	}
	arguments := make(map[string]string, len(values))
	for name, value := range values {
		if plain[name] {
			arguments[name] = text.Field(string(value))
			continue
		}
		digest := sha256.Sum256(value)
		arguments[name] = "sha256:" + hex.EncodeToString(digest[:8])
	}
	return arguments
}
