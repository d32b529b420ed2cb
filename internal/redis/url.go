package redis

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

const (
	passwordVariable = "SCNET_MCP_STATE_PASSWORD"
	defaultPort      = "6379"
	urlForm          = "redis://[USER@]HOST[:PORT][/DATABASE], or rediss:// for TLS"
)

// address is where a Redis server is, and as whom and how to speak to it.
type address struct {
	hostPort string
	user     string
	database int
	tls      *tls.Config // nil: without
}

// parseURL reads the URL of a Redis server. Its errors do not repeat the URL, which may hold a password after all.
func parseURL(text string) (address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return address{}, errors.New("the URL of the shared state cannot be read; valid is " + urlForm)
	}
	if _, set := u.User.Password(); set {
		return address{}, fmt.Errorf("the URL of the shared state holds a password, which others can see; leave it out and set %s or %s_FILE",
			passwordVariable, passwordVariable)
	}
	switch {
	case u.Scheme != "redis" && u.Scheme != "rediss", u.Hostname() == "":
		return address{}, errors.New("the URL of the shared state does not name a Redis server; valid is " + urlForm)
	case u.RawQuery != "" || u.Fragment != "":
		return address{}, errors.New("the URL of the shared state has a query or a fragment, which are not supported; valid is " + urlForm)
	}
	database, err := parseDatabase(u.Path)
	if err != nil {
		return address{}, err
	}
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	server := address{hostPort: net.JoinHostPort(u.Hostname(), port), user: u.User.Username(), database: database}
	if u.Scheme == "rediss" {
		server.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	}
	return server, nil
}

func parseDatabase(path string) (int, error) {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(path, 10, 16)
	if err != nil {
		return 0, errors.New("the database in the URL of the shared state is not a number; valid is " + urlForm)
	}
	return int(n), nil
}
