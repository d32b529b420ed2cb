package fakecloud

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Drop resets the connection of a request instead of answering it.
func Drop(w http.ResponseWriter) {
	if e, ok := w.(*exchange); ok {
		e.drop()
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the way to do it where there is no connection to take
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // close with RST instead of FIN
	}
	_ = conn.Close()
}

// Sleep waits for d and reports whether the context let it.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
