package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	return "", fmt.Errorf("%q is not a consent level; the levels are flag, preview and human", text)
}

// Level returns the consent that tool needs.
func (p Policy) Level(tool string, risk Risk) Level {
	level, set := p.Consent[tool]
	if !set {
		level = defaultLevel(risk)
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

func defaultLevel(risk Risk) Level {
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
	Message string   // what would happen
	Phrase  string   // what has to be typed; "" when there are Choices
	Choices []string // the first is the consent; none is preselected
	Token   string   // comes back in the Answer, so that an answer holds only for what was asked
}

// IsNo reports whether the answer is a no whatever was asked.
func (a Answer) IsNo() bool { return a.Action != Accept && a.Action != Unsupported }

// consents reports whether text is the answer that lets the call through.
func (q Question) consents(text string) bool {
	text = strings.TrimSpace(text)
	if len(q.Choices) > 0 {
		return text == q.Choices[0]
	}
	return strings.EqualFold(strings.Join(strings.Fields(text), " "), q.Phrase)
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

// Decision is a Verdict with what belongs to it.
type Decision struct {
	Verdict  Verdict
	Method   string    // how consent was given: "flag", "preview_token", "elicited" or "terminal"; or why it was not. From a closed set
	TokenID  string    // of the token that took part
	Notice   string    // for the model: why there is only a preview, or why not even that
	Question *Question // with Ask
	Hopeless bool      // with Show: confirming would be refused, so the preview needs no token
	Fault    error     // of the State, for the log only; the verdict holds all the same
}

// answerNotices are the notices for an answer that is no consent.
var answerNotices = map[Action]string{
	Decline:  "The user said no.",
	Cancel:   "The user closed the question without an answer, which counts as no.",
	NoAnswer: "The user did not answer in time, which counts as no.",
	NotAsked: "The client failed to ask the user, which counts as no.",
}

// Decline decides on an answer that is a no, and uses its token up. It needs neither the call nor its targets, so that a no
// holds even when they cannot be looked up.
func (t *Tokens) Decline(ctx context.Context, answer Answer) Decision {
	d := Decision{Verdict: Declined, Method: string(answer.Action), TokenID: TokenID(answer.Token)}
	d.Notice = answerNotices[answer.Action]
	if d.Notice == "" {
		d.Method, d.Notice = "unknown_answer", "The answer was none that MCP knows, which counts as no."
	}
	d.Fault = t.Burn(ctx, answer.Token)
	return d
}

// Decide decides on c. A token that lets a call through, or that a human said no to, is used up.
func (t *Tokens) Decide(ctx context.Context, c Call) Decision {
	if c.Answer != nil {
		return t.decideAnswer(ctx, c)
	}
	if c.Token != "" {
		if err := t.Check(ctx, c.Token, c.Subject); err != nil {
			return unaccepted(c.Token, err)
		}
	}
	switch {
	case c.AtTerminal:
		return t.ask(c)
	case !c.Confirm && c.Level == Human && !c.CanAsk:
		return Decision{Verdict: Show, Method: "none", Hopeless: true,
			Notice: "The operator demands a human's answer for this tool, and this client cannot ask one: it will not be carried out from here."}
	case !c.Confirm:
		return Decision{Verdict: Show, Method: "none"}
	case c.Level == Flag && c.Token == "":
		return Decision{Verdict: Proceed, Method: "flag"}
	case c.Level != Flag && c.CanAsk:
		return t.ask(c)
	case c.Level == Human:
		return Decision{Verdict: Refused, Method: "impossible",
			Notice: "The operator demands a human's answer for this tool, and this client cannot ask one."}
	case c.Token == "":
		return Decision{Verdict: Show, Method: "none", Notice: "confirm: true alone does not do here; it needs the preview_token of a preview."}
	}
	if err := t.Redeem(ctx, c.Token, c.Subject); err != nil {
		return unaccepted(c.Token, err)
	}
	return Decision{Verdict: Proceed, Method: "preview_token", TokenID: TokenID(c.Token)}
}

func (t *Tokens) ask(c Call) Decision {
	question := c.Question
	if question.Token = c.Token; question.Token == "" {
		question.Token, _ = t.Issue(c.Subject)
	}
	return Decision{Verdict: Ask, Method: "asked", TokenID: TokenID(question.Token), Question: &question}
}

func (t *Tokens) decideAnswer(ctx context.Context, c Call) Decision {
	answer := *c.Answer
	d := Decision{TokenID: TokenID(answer.Token)}
	if answer.Action == Unsupported {
		if c.Level == Human {
			d.Verdict, d.Method = Refused, "impossible"
			d.Notice = "The operator demands a human's answer for this tool, and this client declared that it can ask one, but could not."
			return d
		}
		d.Verdict, d.Method = Show, "impossible"
		d.Notice = "The client declared that it can ask the user, but could not."
		return d
	}
	if answer.IsNo() {
		return t.Decline(ctx, answer)
	}
	if !c.Question.consents(answer.Text) {
		d.Fault = t.Burn(ctx, answer.Token)
		d.Verdict, d.Method = Declined, "wrong_answer"
		d.Notice = "The answer was not the one that lets the call through, which counts as no."
		if strings.TrimSpace(answer.Text) == "" {
			d.Method, d.Notice = "empty_answer", "The answer was empty, which counts as no."
		}
		return d
	}
	if err := t.Redeem(ctx, answer.Token, c.Subject); err != nil {
		return unaccepted(answer.Token, err)
	}
	d.Verdict, d.Method = Proceed, "elicited"
	if c.AtTerminal {
		d.Method = "terminal"
	}
	return d
}

// tokenProblems name the reasons for which a token is not accepted.
var tokenProblems = map[error]string{
	ErrTokenWrong: "token_wrong", ErrTokenExpired: "token_expired", ErrTokenOther: "token_of_another_call",
	ErrTokenState: "state_changed", ErrTokenUsed: "token_used", ErrTokenUnchecked: "token_unchecked",
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

func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
