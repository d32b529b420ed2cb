// Package simulator is an in-memory SCNet (超算互联网) for tests and demos. It speaks the HTTP API described on the pages
// under https://scnet.cn/ac/openapi/doc/2.0/api/ over real HTTP: the token endpoints, the region ("center") endpoint, the
// container endpoints and the file service (efile).
//
// Regions listen on ports of their own, because clients tell regions apart by host and a token of one region must be refused
// by another.
//
// What the pages state is what a zero [Quirks] does. Where the pages contradict themselves, or the service has been seen to
// differ from them, a field of [Quirks] selects the other behaviour. [Fault] makes single endpoints misbehave. Where nobody
// knows what the service does, the comment at the place says that the behaviour is an assumption.
//
// Nothing runs in the background: what state an instance is in, and whether a token has expired, is computed from
// [Options.Now] when a request arrives.
package simulator
