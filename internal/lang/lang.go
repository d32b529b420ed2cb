// Package lang says what people read in their language. The code holds the English sentences, which are also the keys of the
// catalogue of Chinese ones. What programs read never depends on it: a Text is encoded in English.
package lang

import (
	"fmt"
	"io"
	"reflect"
	"strings"
)

// Lang is a language. The zero value is English.
type Lang uint8

// The languages.
const (
	English Lang = iota
	Chinese
)

// Auto as a setting stands for the language of the locale.
const Auto = "auto"

// Parse reads the setting zh, en or auto. Of auto, the locale decides: the first of LC_ALL, LC_MESSAGES and LANG that is set.
// What says nothing is English.
func Parse(setting string, env func(string) string) (Lang, error) {
	switch setting {
	case "zh":
		return Chinese, nil
	case "en":
		return English, nil
	case Auto, "":
		return ofLocale(env), nil
	}
	return English, Errorf("%q is not a language; the languages are zh, en and auto", setting)
}

func ofLocale(env func(string) string) Lang {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if locale := strings.ToLower(env(name)); locale != "" {
			if locale == "zh" || strings.HasPrefix(locale, "zh_") || strings.HasPrefix(locale, "zh-") ||
				strings.HasPrefix(locale, "zh.") {
				return Chinese
			}
			return English
		}
	}
	return English
}

// String returns the word that sets the language.
func (l Lang) String() string {
	if l == Chinese {
		return "zh"
	}
	return "en"
}

// Sayer is what can be said in each language. Its String, or Error, says it in English.
type Sayer interface{ In(Lang) string }

// Sprintf words format in the language, with what it takes in the same language.
func (l Lang) Sprintf(format string, args ...any) string {
	if l == English {
		return fmt.Sprintf(format, args...)
	}
	return fmt.Sprintf(translated(format), l.said(args)...)
}

// Fprintf writes what Sprintf says.
func (l Lang) Fprintf(w io.Writer, format string, args ...any) {
	if l == English {
		_, _ = fmt.Fprintf(w, format, args...) // as Sprintf: the writers are buffers, and a terminal that has gone hears nothing
		return
	}
	_, _ = fmt.Fprintf(w, translated(format), l.said(args)...)
}

// said replaces what can be said by what it is in the language.
func (l Lang) said(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		if v := reflect.ValueOf(arg); v.Kind() == reflect.Pointer && v.IsNil() {
			out[i] = arg // as fmt shows it
			continue
		}
		switch arg := arg.(type) {
		case Sayer:
			out[i] = arg.In(l)
		case error:
			out[i] = l.Say(arg)
		default:
			out[i] = arg
		}
	}
	return out
}

// Word says a key of the catalogue that takes nothing.
func (l Lang) Word(word string) string {
	if l == Chinese {
		return translated(word)
	}
	return word
}

// Words says each of some words, such as the head of a table.
func (l Lang) Words(words ...string) []string {
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = l.Word(word)
	}
	return out
}
