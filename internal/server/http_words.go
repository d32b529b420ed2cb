package server

import "slices"

// rule is why the HTTP transports refuse a request.
type rule int

const (
	ruleAccept rule = iota
	ruleAdmission
	ruleBody
	ruleBytes
	ruleContentType
	ruleHost
	ruleIssuer
	ruleOrigin
	ruleRate
	ruleScope
	ruleSession
	ruleStopping
	ruleStreams
	ruleToken
	ruleCount
)

var ruleNames = [ruleCount]string{
	ruleAccept: "accept", ruleAdmission: "admission", ruleIssuer: "issuer", ruleScope: "scope",
	ruleBody: "body", ruleBytes: "bytes", ruleContentType: "content_type", ruleHost: "host",
	ruleOrigin: "origin", ruleRate: "rate", ruleSession: "session", ruleStopping: "stopping", ruleStreams: "streams",
	ruleToken: "token",
}

// Rules returns every rule that Watch.Refused is told.
func Rules() []string { return slices.Clone(ruleNames[:]) }

// streamKind is a transport that holds a stream of events open.
type streamKind int

const (
	kindListen streamKind = iota // Streamable HTTP, to a client that waits for changes
	kindSSE                      // the older transport
	kindCount
)

var kindNames = [kindCount]string{kindListen: "listen", kindSSE: "sse"}

// StreamKinds returns every kind of stream that Watch.StreamOpened is told.
func StreamKinds() []string { return slices.Clone(kindNames[:]) }

// Routes returns every route that Watch.Request is told, but for OtherRoute.
func Routes() []string {
	paths := make([]string, len(endpoints))
	for i, r := range endpoints {
		paths[i] = r.path
	}
	return paths
}

// OtherRoute stands for every path that is not a route.
const OtherRoute = "other"
