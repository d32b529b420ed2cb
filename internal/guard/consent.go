package guard

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// Level is how much consent a tool needs.
type Level string

// The levels, in rising order.
const (
	Flag    Level = "flag"    // confirm: true
	Preview Level = "preview" // confirm: true with the token of a preview, or a human's answer where one can be asked
	Human   Level = "human"   // a human's answer
)

// ParseLevel reads a level.
func ParseLevel(text string) (Level, error) {
	switch l := Level(text); l {
	case Flag, Preview, Human:
		return l, nil
	}
	return "", lang.Errorf("%q is not a consent level; the levels are flag, preview and human", text)
}

// Level returns the consent that tool needs, which is standard unless the operator has set another.
func (p Policy) Level(tool string, standard Level) Level {
	level, set := p.Consent[tool]
	if !set {
		level = standard
	}
	return p.raised(tool, level)
}

// raised returns level, or a higher one that a policy which narrows p wants.
func (p Policy) raised(tool string, level Level) Level {
	for _, by := range p.narrowedBy {
		if by.Consent[tool].rank() > level.rank() {
			level = by.Consent[tool]
		}
		level = by.raised(tool, level)
	}
	return level
}

// DefaultLevel is the consent that tools of a risk need, unless they declare another.
func DefaultLevel(risk Risk) Level {
	if risk == Destructive {
		return Preview
	}
	return Flag
}

func (l Level) rank() int { return slices.Index([]Level{Flag, Preview, Human}, l) }

// Action is what became of a question to a human.
type Action string

// The actions. The first three are MCP's; the others say that no human answered.
const (
	Accept      Action = "accept"
	Decline     Action = "decline"
	Cancel      Action = "cancel"
	NoAnswer    Action = "no_answer"   // the time was up
	NotAsked    Action = "not_asked"   // the client failed to put the question
	Unsupported Action = "unsupported" // the client declared that it can ask, and could not
)

// Answer is a human's answer to a Question.
type Answer struct {
	Action Action
	Text   string // what was typed or chosen
	Token  string // the token that the question carried
}

// Question is what a human is asked.
type Question struct {
	Message lang.Text   // what would happen
	Phrases []string    // any of these has to be typed: one in each language; nil when there are Choices
	Choices []lang.Text // the first is the consent; none is preselected
	Token   string      // comes back in the Answer, so that an answer holds only for what was asked
}

// IsNo reports whether the answer is a no whatever was asked.
func (a Answer) IsNo() bool { return a.Action != Accept && a.Action != Unsupported }

// consents reports whether text is an answer that lets the call through.
func (q Question) consents(text string) bool {
	if len(q.Choices) > 0 {
		text = strings.TrimSpace(text) // another server may have asked, in the other language
		return text == q.Choices[0].In(lang.English) || text == q.Choices[0].In(lang.Chinese)
	}
	return slices.ContainsFunc(q.Phrases, func(phrase string) bool { return samePhrase(text, phrase) })
}

// samePhrase ignores case and the amount of space. Where a phrase is not in Latin letters, people do not agree on whether
// there is a space before a number, so spaces do not count at all.
func samePhrase(text, phrase string) bool {
	separator := " "
	if strings.ContainsFunc(phrase, func(r rune) bool { return r > unicode.MaxLatin1 }) {
		separator = ""
	}
	fold := func(s string) string { return strings.Join(strings.Fields(s), separator) }
	return strings.EqualFold(fold(text), fold(phrase))
}

// Expected says what lets the call through, for people.
func (q Question) Expected() lang.Text {
	switch {
	case len(q.Choices) > 0:
		return lang.T("%q", q.Choices[0])
	case len(q.Phrases) == 2:
		return lang.T("%q or %q", q.Phrases[0], q.Phrases[1])
	}
	return lang.T("%q", strings.Join(q.Phrases, " "))
}

// Call is what consent is decided on.
type Call struct {
	Level    Level
	Subject  Subject
	Question Question // without its token

	Confirm bool
	Token   string  // the preview_token of the call
	CanAsk  bool    // the client can put a question to a human, now and on this transport
	Answer  *Answer // of a human to the question that an earlier Decide returned
	// AtTerminal says that a person made the call at a terminal, without --confirm: whatever the level and the arguments, the
	// person is asked.
	AtTerminal bool
}

// Verdict is what becomes of a call.
type Verdict int

// The verdicts.
const (
	Proceed  Verdict = iota // act
	Show                    // return a preview; nothing is changed
	Ask                     // ask the human, then decide again with the answer
	Declined                // a human said no, or did not answer
	Refused                 // the consent that is needed cannot be had from this client
)

// Method is how consent was given, or why it was not.
type Method = string

// The methods. Answers that are a no have the name of their Action.
const (
	ByFlag         Method = "flag"
	ByPreviewToken Method = "preview_token"
	ByHuman        Method = "elicited"
	AtTerminal     Method = "terminal" // by the person who made the call
	NotGiven       Method = "none"
	BeingAsked     Method = "asked"
	Impossible     Method = "impossible" // the client cannot ask, or could not
	WrongAnswer    Method = "wrong_answer"
	EmptyAnswer    Method = "empty_answer"
	UnknownAnswer  Method = "unknown_answer"
)

// Methods returns every Method of a Decision.
func Methods() []Method {
	methods := []Method{
		ByFlag, ByPreviewToken, ByHuman, AtTerminal, NotGiven, BeingAsked, Impossible, WrongAnswer, EmptyAnswer, UnknownAnswer,
	}
	for action := range answerNotices {
		methods = append(methods, string(action))
	}
	for _, name := range tokenProblems {
		methods = append(methods, name)
	}
	slices.Sort(methods)
	return methods
}

// Decision is a Verdict with what belongs to it.
type Decision struct {
	Verdict  Verdict
	Method   Method
	TokenID  string    // of the token that took part
	Notice   lang.Text // for the model: why there is only a preview, or not even that; continues "Refused: " if refused
	Question *Question // with Ask
	Fault    error     // of the State, for the log only; the verdict holds anyway

	// With Show:
	Token   string    // of the preview; "" when there is none to be had
	Expires time.Time // of Token
	CanAsk  bool      // confirm: true is enough: the user is asked then
	// Unconfirmable says that confirming would be refused, so the preview has no token.
	Unconfirmable bool
}

// answerNotices are the notices for an answer that is not a consent.
var answerNotices = map[Action]lang.Text{
	Decline:  lang.T("The user said no."),
	Cancel:   lang.T("The user closed the question without an answer, which counts as no."),
	NoAnswer: lang.T("The user did not answer in time, which counts as no."),
	NotAsked: lang.T("The client failed to ask the user, which counts as no."),
}

// Decline decides on an answer that is a no, and uses its token up. It needs neither the call nor its targets, so that a no
// holds even when they cannot be looked up.
func (t *Tokens) Decline(ctx context.Context, answer Answer) Decision {
	d := Decision{Verdict: Declined, Method: string(answer.Action), TokenID: TokenID(answer.Token)}
	d.Notice = answerNotices[answer.Action]
	if d.Notice.IsZero() {
		d.Method, d.Notice = UnknownAnswer, lang.T("The client sent an answer that MCP does not define; it counts as no.")
	}
	d.Fault = t.Burn(ctx, answer.Token)
	return d
}

// Decide decides on c. A token that lets a call through, or that a human said no to, is used up.
func (t *Tokens) Decide(ctx context.Context, c Call) Decision {
	d := t.decide(ctx, c)
	if d.Verdict != Show || d.Unconfirmable {
		return d
	}
	d.CanAsk = c.CanAsk && c.Level != Flag && (c.Answer == nil || c.Answer.Action != Unsupported)
	var err error
	if d.Token, d.Expires, err = t.Issue(ctx, c.Subject); err != nil {
		if d.Fault == nil {
			d.Fault = err
		}
		if d.Method != tokenProblems[ErrTokenUnchecked] {
			d.Notice = lang.Sentences(d.Notice, sentence(ErrTokenUnchecked))
		}
	}
	return d
}

func (t *Tokens) decide(ctx context.Context, c Call) Decision {
	if c.Answer != nil {
		return t.decideAnswer(ctx, c)
	}
	if c.Confirm && c.Level == Human && !c.CanAsk && !c.AtTerminal { // whatever its token is
		return Decision{Verdict: Refused, Method: Impossible,
			Notice: lang.T("the operator demands a human's answer for this tool, and this client cannot ask a human")}
	}
	if c.Token != "" {
		if err := t.Check(ctx, c.Token, c.Subject); err != nil {
			return unaccepted(c.Token, err)
		}
	}
	switch {
	case c.AtTerminal:
		return t.ask(ctx, c)
	case !c.Confirm && c.Level == Human && !c.CanAsk:
		return Decision{Verdict: Show, Method: NotGiven, Unconfirmable: true,
			Notice: lang.T("The operator demands a human's answer for this tool, and this client cannot ask a human: it will not be carried out from here.")}
	case !c.Confirm:
		return Decision{Verdict: Show, Method: NotGiven}
	case c.Level == Flag && c.Token == "":
		return Decision{Verdict: Proceed, Method: ByFlag}
	case c.Level != Flag && c.CanAsk:
		return t.ask(ctx, c)
	case c.Token == "":
		return Decision{Verdict: Show, Method: NotGiven,
			Notice: lang.T("confirm: true alone is not enough here; it needs the preview_token of a preview.")}
	}
	if err := t.Redeem(ctx, c.Token, c.Subject); err != nil {
		return unaccepted(c.Token, err)
	}
	return Decision{Verdict: Proceed, Method: ByPreviewToken, TokenID: TokenID(c.Token)}
}

func (t *Tokens) ask(ctx context.Context, c Call) Decision {
	question := c.Question
	var err error
	if question.Token, err = t.issueQuestion(ctx, c.Subject, c.Token); err != nil {
		return unaccepted(c.Token, err)
	}
	return Decision{Verdict: Ask, Method: BeingAsked, TokenID: TokenID(question.Token), Question: &question}
}

func (t *Tokens) decideAnswer(ctx context.Context, c Call) Decision {
	answer := *c.Answer
	d := Decision{TokenID: TokenID(answer.Token)}
	switch {
	case answer.Action == Unsupported && c.Level == Human:
		d.Verdict, d.Method = Refused, Impossible
		d.Notice = lang.T("the operator demands a human's answer for this tool, and this client declared that it can ask a human, but could not")
		return d
	case answer.Action == Unsupported:
		d.Verdict, d.Method = Show, Impossible
		d.Notice = lang.T("The client declared that it can ask the user, but could not.")
		return d
	case answer.IsNo():
		return t.Decline(ctx, answer)
	case !c.Question.consents(answer.Text):
		d.Fault = t.Burn(ctx, answer.Token)
		d.Verdict, d.Method = Declined, WrongAnswer
		d.Notice = lang.T("The answer was not the one that lets the call through, which counts as no. Expected was %s.", c.Question.Expected())
		if strings.TrimSpace(answer.Text) == "" {
			d.Method, d.Notice = EmptyAnswer, lang.T("The answer was empty, which counts as no. Expected was %s.", c.Question.Expected())
		}
		return d
	}
	if err := t.redeem(ctx, forQuestion, answer.Token, c.Subject); err != nil {
		return unaccepted(answer.Token, err)
	}
	d.Verdict, d.Method = Proceed, ByHuman
	if c.AtTerminal {
		d.Method = AtTerminal
	}
	return d
}

// tokenProblems name the reasons for which a token is not accepted.
var tokenProblems = map[error]Method{
	ErrTokenWrong: "token_wrong", ErrTokenExpired: "token_expired", ErrTokenOther: "token_of_another_call",
	ErrTokenState: "state_changed", ErrTokenUsed: "token_used", ErrTokenKind: "token_kind", ErrTokenOld: "token_old",
	ErrTokenUnchecked: "token_unchecked",
}

// unaccepted shows a preview again, because the token did not do. What the State said is not for the model.
func unaccepted(token string, err error) Decision {
	d := Decision{Verdict: Show, TokenID: TokenID(token)}
	for problem, name := range tokenProblems {
		if errors.Is(err, problem) {
			d.Method, d.Notice = name, sentence(problem)
		}
	}
	if errors.Is(err, ErrTokenUnchecked) {
		d.Fault = err
	}
	return d
}

func sentence(err error) lang.Text { return lang.T("%s.", capital{err}) }

// capital is an error at the beginning of a sentence.
type capital struct{ err error }

func (c capital) In(l lang.Lang) string {
	text := l.Say(c.err)
	return strings.ToUpper(text[:1]) + text[1:]
}

func (c capital) String() string { return c.In(lang.English) }
