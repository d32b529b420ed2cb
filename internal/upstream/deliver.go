package upstream

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// StatusError is an answer that is not a success.
type StatusError int

func (e StatusError) Error() string {
	return fmt.Sprintf("the receiver answered with status %d", int(e)) // not said to people
}

// Deliver sends a request to a receiver of which only the status matters, and returns a [StatusError] if that is not a
// success. No error repeats the address, which may hold a secret.
func Deliver(client *http.Client, request *http.Request) error {
	answer, err := client.Do(request) //nolint:gosec // the operator names the receiver
	if err != nil {
		var failure *url.Error
		if errors.As(err, &failure) { // it would print the whole address
			err = failure.Err
		}
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection is used again
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return StatusError(answer.StatusCode)
	}
	return nil
}
