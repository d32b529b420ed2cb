package secret_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/secret"
)

func TestNoFormShowsTheText(t *testing.T) {
	const text = "do-not-print-me"
	v := secret.New(text)
	held := struct {
		Exported secret.Value
		hidden   secret.Value
	}{v, v}

	var log strings.Builder
	logger := zerolog.New(&log)
	logger.Info().Interface("v", v).Stringer("s", v).Any("held", held).Msg("x")

	encoded, err := json.Marshal(held)
	if err != nil {
		t.Fatal(err)
	}
	forms := []string{log.String(), string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		forms = append(forms, fmt.Sprintf(verb, v), fmt.Sprintf(verb, &v), fmt.Sprintf(verb, held), fmt.Sprintf(verb, &held))
	}
	for _, form := range forms {
		if strings.Contains(form, text) || strings.Contains(form, fmt.Sprintf("%x", text)) {
			t.Errorf("the text shows in %q", form)
		}
	}
	if v.Reveal() != text || !v.IsSet() {
		t.Error("Reveal does not give the text back")
	}
}

func TestUnset(t *testing.T) {
	v := secret.New("")
	if v.IsSet() || v.Reveal() != "" || v.String() != "" {
		t.Errorf("an empty text is not unset: %q", v.Reveal())
	}
}
