// Package hostile is a TLS server for tests that breaks off every exchange in a given way, over HTTP/2 and HTTP/1.1, and
// keeps a journal: what a client sends to it twice was sent twice.
package hostile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// Mode is a way to break off an exchange.
type Mode string

// The modes. What only HTTP/2 has closes the connection in HTTP/1.1.
const (
	ResetProtocolError  Mode = "RST_STREAM PROTOCOL_ERROR"
	ResetRefusedStream  Mode = "RST_STREAM REFUSED_STREAM"
	ResetInternalError  Mode = "RST_STREAM INTERNAL_ERROR"
	ResetCancel         Mode = "RST_STREAM CANCEL"
	ResetCalm           Mode = "RST_STREAM ENHANCE_YOUR_CALM"
	ResetHTTP11         Mode = "RST_STREAM HTTP_1_1_REQUIRED"
	ResetNoError        Mode = "RST_STREAM NO_ERROR"
	GoAwayZero          Mode = "GOAWAY 0 after acting"
	GoAwayZeroCalm      Mode = "GOAWAY 0 ENHANCE_YOUR_CALM after acting"
	GoAwayLower         Mode = "GOAWAY below the second stream"
	GoAwayClose         Mode = "GOAWAY with this stream, then closed"
	CloseBeforeRequest  Mode = "closed before the request"
	CloseAfterHeader    Mode = "closed after the header"
	CloseAfterBody      Mode = "closed after the body"
	HalfAnswerThenReset Mode = "half an answer, then reset"
	HalfAnswerThenClose Mode = "half an answer, then closed"
	HeaderThenReset     Mode = "an answer's header, then PROTOCOL_ERROR"
)

// Modes returns every mode.
func Modes() []Mode {
	return []Mode{
		ResetProtocolError, ResetRefusedStream, ResetInternalError, ResetCancel, ResetCalm, ResetHTTP11, ResetNoError,
		GoAwayZero, GoAwayZeroCalm, GoAwayLower, GoAwayClose, CloseBeforeRequest, CloseAfterHeader, CloseAfterBody,
		HalfAnswerThenReset, HalfAnswerThenClose, HeaderThenReset,
	}
}

var resets = map[Mode]http2.ErrCode{
	ResetProtocolError: http2.ErrCodeProtocol, ResetRefusedStream: http2.ErrCodeRefusedStream,
	ResetInternalError: http2.ErrCodeInternal, ResetCancel: http2.ErrCodeCancel, ResetCalm: http2.ErrCodeEnhanceYourCalm,
	ResetHTTP11: http2.ErrCodeHTTP11Required, ResetNoError: http2.ErrCodeNo,
}

// Server is a running server. The test that started it closes it.
type Server struct {
	URL string

	mode     Mode
	roots    *x509.CertPool
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex
	journal  []string
	open     map[net.Conn]struct{}
	finished bool
}

// Start returns a server that breaks off every exchange as mode says.
func Start(t testing.TB, mode Mode) *Server {
	t.Helper()
	lender := httptest.NewTLSServer(http.NotFoundHandler()) // of its certificate
	defer lender.Close()
	s := &Server{mode: mode, roots: x509.NewCertPool(), open: map[net.Conn]struct{}{}}
	s.roots.AddCert(lender.Certificate())
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: lender.TLS.Certificates, NextProtos: []string{"h2", "http/1.1"}, MinVersion: tls.VersionTLS12,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.listener, s.URL = listener, "https://"+listener.Addr().String()
	s.wg.Go(s.accept)
	t.Cleanup(s.close)
	return s
}

// Trust makes transport, which must not have been used, accept the server's certificate. With h2 it prefers HTTP/2, as the
// transport of a caller may.
func (s *Server) Trust(transport *http.Transport, h2 bool) *http.Transport {
	transport.TLSClientConfig = &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}
	if h2 {
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(true)
		transport.Protocols.SetHTTP2(true)
	}
	return transport
}

// Journal returns what has arrived: protocol, method and path of each request.
func (s *Server) Journal() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.journal...)
}

func (s *Server) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = append(s.journal, fmt.Sprintf(format, args...))
}

func (s *Server) close() {
	s.mu.Lock()
	s.finished = true
	for conn := range s.open {
		_ = conn.Close()
	}
	s.mu.Unlock()
	_ = s.listener.Close()
	s.wg.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.finished {
			_ = conn.Close()
		}
		s.open[conn] = struct{}{}
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(conn)
			_ = conn.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.open, conn)
		})
	}
}

func (s *Server) serve(conn net.Conn) {
	secure, ok := conn.(*tls.Conn)
	if !ok || secure.Handshake() != nil || s.mode == CloseBeforeRequest {
		return
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		s.serve2(secure)
		return
	}
	s.serve1(secure)
}

// serve1 takes one request, in full unless the mode says otherwise: a connection that is closed with bytes unread is reset.
func (s *Server) serve1(conn net.Conn) {
	var received bytes.Buffer
	for !bytes.Contains(received.Bytes(), []byte("\r\n\r\n")) {
		if _, err := io.CopyN(&received, conn, 1); err != nil {
			return
		}
	}
	line, _, _ := bytes.Cut(received.Bytes(), []byte(" HTTP/1.1\r\n"))
	s.note("HTTP/1.1 %s", line)
	if s.mode == CloseAfterHeader {
		return
	}
	var length int64
	if _, after, ok := bytes.Cut(received.Bytes(), []byte("Content-Length: ")); ok {
		_, _ = fmt.Sscan(string(after), &length)
	}
	_, _ = io.CopyN(io.Discard, conn, length)
	switch s.mode {
	case HalfAnswerThenReset, HalfAnswerThenClose:
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"code\":\"0\"")
	case HeaderThenReset:
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
	default:
	}
}

func (s *Server) serve2(conn net.Conn) {
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			s.note("HTTP/2 %s %s", f.PseudoValue("method"), f.PseudoValue("path"))
			if s.mode == CloseAfterHeader || f.StreamEnded() && !s.answer2(framer, f.StreamID) {
				return
			}
		case *http2.DataFrame:
			if f.StreamEnded() && !s.answer2(framer, f.StreamID) {
				return
			}
		}
	}
}

// answer2 breaks the stream off and reports whether the connection stays open.
func (s *Server) answer2(framer *http2.Framer, stream uint32) bool {
	if code, ok := resets[s.mode]; ok {
		return framer.WriteRSTStream(stream, code) == nil
	}
	switch s.mode {
	case GoAwayZero:
		return framer.WriteGoAway(0, http2.ErrCodeNo, nil) == nil
	case GoAwayZeroCalm:
		return framer.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, nil) == nil
	case GoAwayLower:
		if stream == 1 {
			return framer.WriteGoAway(0, http2.ErrCodeProtocol, nil) == nil
		}
		return framer.WriteGoAway(stream-2, http2.ErrCodeProtocol, nil) == nil
	case GoAwayClose:
		_ = framer.WriteGoAway(stream, http2.ErrCodeNo, nil)
	case HalfAnswerThenReset, HalfAnswerThenClose, HeaderThenReset:
		var block bytes.Buffer
		_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true})
		if s.mode != HeaderThenReset {
			_ = framer.WriteData(stream, false, []byte(`{"code":"0"`))
		}
		if s.mode != HalfAnswerThenClose {
			return framer.WriteRSTStream(stream, http2.ErrCodeProtocol) == nil
		}
	default:
	}
	return false
}
