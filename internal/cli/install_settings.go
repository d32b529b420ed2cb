package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/install"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// secretsFolder is where install keeps the secrets of an entry.
func secretsFolder(entry string) string {
	folder, err := os.UserConfigDir()
	if err != nil {
		folder = "." // without a home there is no better place; the path is shown before anything is written
	}
	return filepath.Join(folder, "scnet-mcp", entry)
}

// keeper collects the settings of the entry. Secrets are kept in files, which the settings name.
type keeper struct {
	folder   string
	env      config.Environment
	settings []install.Setting
	secrets  map[string]string // by file
}

func (k *keeper) set(name, value string) {
	k.settings = append(k.settings, install.Setting{Name: name, Value: value})
}

func (k *keeper) keepSecret(name, value string) {
	file := filepath.Join(k.folder, name)
	k.set(name+"_FILE", file)
	if k.secrets == nil {
		k.secrets = map[string]string{}
	}
	k.secrets[file] = value
}

func (k *keeper) files() (all []string) {
	for file := range k.secrets {
		all = append(all, file)
	}
	slices.Sort(all)
	return all
}

// isOurs reports whether a variable is one of the settings of the services: another installation replaces all of them.
func (k *keeper) isOurs(variable string) bool {
	return slices.Contains(config.Names(), variable) &&
		!slices.ContainsFunc(k.settings, func(s install.Setting) bool { return s.Name == variable })
}

// credentials takes those of this shell, or asks for them.
func (k *keeper) credentials(ctx context.Context, streams Streams) error {
	_, scnetErr := config.SCNet(k.env)
	_, desktops, desktopsErr := config.Workspace(k.env)
	if k.carry(); len(k.settings) > 0 && (scnetErr == nil || desktops && desktopsErr == nil) {
		return nil
	}
	if len(k.settings) > 0 {
		return lang.Errorf("the settings in this shell are not complete: %w. Nothing was written", errors.Join(scnetErr, desktopsErr))
	}
	if !isPerson(streams) {
		return lang.Errorf("there are no credentials: set SCNET_USER, SCNET_ACCESS_KEY and SCNET_SECRET_KEY, run this at a terminal, or use --demo. Nothing was written")
	}
	streams.Lang.Fprintf(streams.Err, "The keys are made in SCNet's console: personal centre → access control.\n")
	return k.ask(func(question lang.Text, hidden bool) (string, error) {
		_, _ = fmt.Fprint(streams.Err, question.In(streams.Lang))
		if file, ok := streams.In.(*os.File); hidden && ok {
			return readHidden(ctx, file, streams.Err)
		}
		return readLine(ctx, streams.In)
	})
}

// ask asks for the credentials of SCNet.
func (k *keeper) ask(answer func(question lang.Text, hidden bool) (string, error)) error {
	for _, each := range []struct {
		name     string
		question lang.Text
		hidden   bool
	}{
		{"SCNET_USER", lang.T("SCNet login name: "), false},
		{"SCNET_ACCESS_KEY", lang.T("Access key: "), false},
		{"SCNET_SECRET_KEY", lang.T("Secret key (not shown): "), true},
	} {
		value, err := answer(each.question, each.hidden)
		if value = strings.TrimSpace(value); err != nil || value == "" {
			return errors.Join(lang.Errorf("%s is missing. Nothing was written", each.name), err)
		}
		if slices.Contains(config.Names(), each.name+"_FILE") {
			k.keepSecret(each.name, value)
		} else {
			k.set(each.name, value)
		}
	}
	return nil
}

// carry takes over the settings of this shell.
func (k *keeper) carry() {
	for _, name := range config.Names() {
		value, _ := k.env(name)
		if value = strings.TrimSpace(value); value == "" {
			continue
		}
		switch {
		case strings.HasSuffix(name, "_FILE"):
			if path, err := filepath.Abs(value); err == nil {
				value = path // the client starts the server in another folder
			}
			k.set(name, value)
		case slices.Contains(config.Names(), name+"_FILE"):
			k.keepSecret(name, value)
		default:
			k.set(name, value)
		}
	}
}

// placeholders are settings for a user to fill in.
func (k *keeper) placeholders(l lang.Lang) {
	k.set("SCNET_USER", l.Word("your login name"))
	k.keepSecret("SCNET_ACCESS_KEY", "")
	k.keepSecret("SCNET_SECRET_KEY", "")
}

// putInto makes this process see the settings that the client will give the server, and no others.
func (k *keeper) putInto(unset func(string) error, set func(name, value string) error) error {
	for _, name := range config.Names() {
		if err := unset(name); err != nil {
			return err
		}
	}
	for _, s := range k.settings {
		if err := set(s.Name, s.Value); err != nil {
			return err
		}
	}
	return nil
}

// readHidden reads a line without showing it. When ctx ends, the terminal is as it was.
func readHidden(ctx context.Context, in *os.File, out io.Writer) (string, error) {
	fd := int(in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	defer func() { _, _ = fmt.Fprintln(out) }()
	type reading struct {
		line []byte
		err  error
	}
	read := make(chan reading, 1)
	go func() {
		line, err := term.ReadPassword(fd)
		read <- reading{line, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.Join(context.Cause(ctx), term.Restore(fd, before))
	case r := <-read:
		return string(r.line), r.err
	}
}
