package server

import (
	"bytes"
	"errors"
	"log"
	"maps"
	"math"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
	"github.com/rs/zerolog"
	"golang.org/x/time/rate"

	"github.com/scnet-mcp/scnet-mcp/internal/guard"
)

// secure sets what every answer carries.
func secure(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // a proxy that collects events would hold progress back
}

// refuse answers without having looked at a message. The body has JSON-RPC's form, which clients show.
func refuse(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, (&problem{nil, mcp.INVALID_REQUEST, text}).reply())
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := encode(body)
	if err != nil {
		status, encoded = http.StatusInternalServerError, []byte(`{}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	_, _ = w.Write(append(encoded, '\n'))
}

// admitSite refuses requests that a web page of another site makes, directly or by a name that it resolves to this
// machine.
func (h *HTTP) admitSite(w http.ResponseWriter, r *http.Request) bool {
	if !h.isOurs(r) {
		h.refused(w, ruleHost, http.StatusForbidden, "the server is not known under this Host; --allowed-hosts names further ones")
		return false
	}
	origin := r.Header.Get("Origin")
	switch {
	case origin != "" && !h.mayCall(origin, r.Host):
	case origin == "" && slices.Contains([]string{"cross-site", "same-site"}, r.Header.Get("Sec-Fetch-Site")):
		// A page's image or link carries no Origin.
	default:
		return true
	}
	h.refused(w, ruleOrigin, http.StatusForbidden, "web pages of this Origin may not call; --allowed-origins names those that may")
	return false
}

// isOurs reports whether the request's Host is the server: localhost, the address that the connection came to, or a name
// from the options. No name that somebody else's DNS resolves to this machine is.
func (h *HTTP) isOurs(r *http.Request) bool {
	host := hostname(r.Host)
	if strings.EqualFold(host, "localhost") {
		return true
	}
	if address, err := netip.ParseAddr(host); err == nil {
		if address.IsLoopback() {
			return true
		}
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if local != nil && hostname(local.String()) == host {
			return true
		}
	}
	return slices.ContainsFunc(h.options.Hosts, func(allowed string) bool {
		return strings.EqualFold(allowed, r.Host) || strings.EqualFold(allowed, host)
	})
}

// hostname returns host without port and brackets.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// mayCall reports whether pages of origin may call: those that the server's own host would have, and those of the options.
func (h *HTTP) mayCall(origin, host string) bool {
	if h.isAllowedOrigin(origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, host)
}

func (h *HTTP) isAllowedOrigin(origin string) bool {
	return slices.ContainsFunc(h.options.Origins, func(allowed string) bool { return strings.EqualFold(allowed, origin) })
}

// preflight answers a browser that asks whether a page of an allowed origin may call, and lets such a page read answers.
func (h *HTTP) preflight(w http.ResponseWriter, r *http.Request) (answered bool) {
	w.Header().Add("Vary", "Origin")
	if origin := r.Header.Get("Origin"); h.isAllowedOrigin(origin) {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", mcp.HeaderSessionID+", WWW-Authenticate")
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
			w.Header().Set("Access-Control-Allow-Headers", strings.Join([]string{
				"Authorization", "Content-Type", "Accept", mcp.HeaderSessionID, mcp.HeaderProtocolVersion, mcp.HeaderMethod,
				mcp.HeaderName,
			}, ", "))
			w.Header().Set("Access-Control-Max-Age", "600")
		}
	}
	if r.Method != http.MethodOptions {
		return false
	}
	w.WriteHeader(http.StatusNoContent)
	return true
}

// authenticate finds the caller by the bearer token.
func (h *HTTP) authenticate(w http.ResponseWriter, r *http.Request) (Caller, bool) {
	if h.options.Authenticate == nil {
		return Caller{Name: guard.Local}, true
	}
	if len(r.Header.Values("Authorization")) > 1 { // a proxy in front may have looked at another one
		w.Header().Set("WWW-Authenticate", h.challenge(guard.ScopesFor(guard.Read), "error", "invalid_request"))
		h.refused(w, ruleToken, http.StatusBadRequest, "there is more than one Authorization header; send one")
		return Caller{}, false
	}
	challenge := h.challenge(guard.ScopesFor(guard.Read))
	text := "a token is needed: send it as Authorization: Bearer TOKEN"
	if scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " "); found && strings.EqualFold(scheme, "Bearer") {
		token = strings.TrimSpace(token)
		if caller, ok := h.options.Authenticate(token); ok {
			return caller, true
		}
		if h.options.OAuth != nil && strings.Count(token, ".") == 2 {
			return h.byAccessToken(w, r, token)
		}
		challenge = h.challenge(guard.ScopesFor(guard.Read), "error", "invalid_token")
		text = "the token belongs to no caller of this server"
		h.server.attackLog.Warn().Str("remote", r.RemoteAddr).Msg("a wrong token was sent")
	}
	w.Header().Set("WWW-Authenticate", challenge)
	h.refused(w, ruleToken, http.StatusUnauthorized, text)
	return Caller{}, false
}

// callerLimits keep one caller from crowding out the others.
type callerLimits struct {
	requests *rate.Limiter
	upstream *rate.Limiter // requests to the services
	running  chan struct{} // tool calls
	bytes    *room
}

func (h *HTTP) limits(caller Caller) *callerLimits {
	h.mu.Lock()
	defer h.mu.Unlock()
	limits, known := h.callers[caller.Name]
	if !known {
		h.forgetIdle()
		perSecond := h.options.RequestsPerSecond
		limits = &callerLimits{
			requests: rate.NewLimiter(rate.Limit(perSecond), 2*perSecond),
			upstream: rate.NewLimiter(rate.Limit(perSecond), 2*perSecond),
			running:  make(chan struct{}, maxRunning),
			bytes:    newRoom(maxBytesOfCaller),
		}
		h.callers[caller.Name] = limits
	}
	return limits
}

// maxLimited is how many callers have limits before those that do nothing are forgotten: an authorization server knows any
// number of them.
const maxLimited = 4096

// forgetIdle forgets the limits of callers to whom new ones would give no more than the old.
func (h *HTTP) forgetIdle() {
	if len(h.callers) < maxLimited {
		return
	}
	maps.DeleteFunc(h.callers, func(_ string, l *callerLimits) bool {
		full := func(r *rate.Limiter) bool { return r.Tokens() >= float64(r.Burst()) }
		return len(l.running) == 0 && l.bytes.isEmpty() && full(l.requests) && full(l.upstream)
	})
}

func (h *HTTP) admitRate(w http.ResponseWriter, caller Caller) bool {
	reservation := h.limits(caller).requests.Reserve()
	wait := reservation.Delay()
	if wait == 0 {
		return true
	}
	reservation.Cancel()
	w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	h.refused(w, ruleRate, http.StatusTooManyRequests, "too many requests; nothing was done, repeat it after the time in Retry-After")
	return false
}

// admitCall refuses calls while the server stops.
func (h *HTTP) admitCall(w http.ResponseWriter) bool {
	if !h.isStopping() {
		return true
	}
	w.Header().Set("Retry-After", "5")
	w.Header().Set("Connection", "close")
	h.refused(w, ruleStopping, http.StatusServiceUnavailable, "the server is stopping; nothing was done, repeat it a little later")
	return false
}

// readBody returns the message in a POST, and what gives its bytes back when it is answered.
func (h *HTTP) readBody(w http.ResponseWriter, r *http.Request, caller Caller) (text []byte, done func(), ok bool) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		h.refused(w, ruleContentType, http.StatusUnsupportedMediaType, "the Content-Type must be application/json")
		return nil, nil, false
	}
	length := r.ContentLength
	if length < 0 || length > maxBody { // not known, or too long
		length = maxBody
	}
	charged := h.admitBytes(w, caller, cost(length))
	if charged == nil {
		return nil, nil, false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	var body bytes.Buffer
	if r.ContentLength >= 0 {
		body.Grow(int(length) + bytes.MinRead) // else it would grow to twice as much
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
		charged.end()
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			h.refused(w, ruleBody, http.StatusRequestEntityTooLarge, "the message is longer than 4 MiB; nothing was done")
			return nil, nil, false
		}
		w.Header().Set("Connection", "close")
		h.refused(w, ruleBody, http.StatusRequestTimeout, "the message did not arrive; nothing was done")
		return nil, nil, false
	}
	charged.keep(cost(int64(body.Len())))
	clearReadDeadline(w)
	return body.Bytes(), charged.end, true
}

// admitBytes takes n bytes of what the caller, and all callers together, may have in flight; nil: there is no room.
func (h *HTTP) admitBytes(w http.ResponseWriter, caller Caller, n int64) *charge {
	own := h.limits(caller).bytes
	switch {
	case !own.take(n):
		w.Header().Set("Retry-After", "1")
		h.refused(w, ruleBytes, http.StatusTooManyRequests,
			"too much of what this caller sent is not answered yet; nothing was done, repeat it after the time in Retry-After")
	case !h.bytes.take(n):
		own.give(n)
		w.Header().Set("Retry-After", "1")
		h.refused(w, ruleBytes, http.StatusServiceUnavailable,
			"too much of what all callers sent is not answered yet; nothing was done, repeat it after the time in Retry-After")
	default:
		return &charge{rooms: []*room{h.bytes, own}, n: n}
	}
	return nil
}

// clearReadDeadline lifts the limit for the request's body, which would end calls and streams.
func clearReadDeadline(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
}

// httpLog is where net/http reports what goes wrong with connections, which is mostly the doing of strangers.
func (s *Server) httpLog() *log.Logger {
	return log.New(debugWriter{s.log}, "", 0)
}

type debugWriter struct{ log zerolog.Logger }

// Write logs one line.
func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debug().Str("cause", strings.TrimSpace(string(line))).Msg("an HTTP connection failed")
	return len(line), nil
}
