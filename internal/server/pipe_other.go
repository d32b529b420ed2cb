//go:build !linux

package server

import "os"

// pollable returns nil: only Linux opens a pipe a second time.
func pollable(*os.File, int) *os.File { return nil }
