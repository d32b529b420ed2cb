package upstream

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// Every try waits for its turn, and a write whose turn does not come was not sent.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []time.Duration
		started := time.Now()
		client := New(roundTrip(func(*http.Request) (*http.Response, error) {
			sent = append(sent, time.Since(started))
			return answer(200, nil), nil
		}), time.Now)
		turns := 0
		ctx := WithPace(t.Context(), func(ctx context.Context) error {
			if turns++; turns > 2 {
				return context.DeadlineExceeded
			}
			if !Wait(ctx, time.Second) {
				return ctx.Err()
			}
			return nil
		})
		for range 2 {
			if _, err := client.Do(ctx, Request{Method: "GET", URL: "https://scnet.example"}); err != nil {
				t.Fatal(err)
			}
		}
		_, err := client.Do(ctx, Request{Method: "POST", URL: "https://scnet.example", Write: true})
		var failure *Failure
		if !errors.As(err, &failure) || failure.Delivery != NotSent || failure.Uncertain {
			t.Errorf("%+v", err)
		}
		if want := []time.Duration{time.Second, 2 * time.Second}; !slices.Equal(sent, want) {
			t.Errorf("sent after %v", sent)
		}
	})
}
