package metrics

import "testing"

func TestClosed(t *testing.T) {
	set := newClosed([]string{"a", "b"})
	for value, want := range map[string]string{"a": "a", "b": "b", "A": other, "": other, "a ": other, other: other} {
		if got := set.label(value); got != want {
			t.Errorf("label(%q) = %q, want %q", value, got, want)
		}
	}
}
