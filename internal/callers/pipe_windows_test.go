package callers_test

import "testing"

func makePipe(t *testing.T, _ string) {
	t.Helper()
	t.Skip("a folder holds no named pipes")
}
