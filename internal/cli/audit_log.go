package cli

import (
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/scnet-mcp/scnet-mcp/internal/anchor"
	"github.com/scnet-mcp/scnet-mcp/internal/audit"
	"github.com/scnet-mcp/scnet-mcp/internal/config"
	"github.com/scnet-mcp/scnet-mcp/internal/lang"
)

// auditFlags say what is recorded, where, and how it is proven.
type auditFlags struct {
	AuditLog      string `group:"audit" placeholder:"FILE" help:"Where every attempt to change something is recorded; off for nowhere. Default: audit.jsonl in the user's state directory."`
	AuditOptional bool   `group:"audit" help:"Change things also when the audit log cannot be written."`
	AuditKeepDays int    `group:"audit" placeholder:"N" help:"Remove records of changes that are older than so many days. Default: they stay for ever."`
	AuditKey      string `group:"audit" placeholder:"FILE" type:"path" help:"Sign the audit log with this key, which audit keygen makes, in checkpoints that audit verify --key checks."`
	AuditAnchor   string `group:"audit" placeholder:"URL" help:"Send each checkpoint to this address too, by POST, with SCNET_MCP_AUDIT_ANCHOR_TOKEN as bearer token; needs --audit-key."`
}

// check refuses what would have no effect.
func (f auditFlags) check() error {
	if f.AuditKeepDays < 0 || f.AuditKeepDays > 36500 {
		return lang.Errorf("--audit-keep-days: %d is not a number of days from 0 (for ever) to 36500", f.AuditKeepDays)
	}
	switch {
	case f.AuditAnchor != "" && f.AuditKey == "":
		return lang.Errorf("--audit-anchor sends what is signed; give --audit-key with it")
	case f.AuditKey != "" && f.isOff():
		return lang.Errorf("--audit-key signs the audit log, which --audit-log=off turns off; leave one of them out")
	}
	return nil
}

func (f auditFlags) isOff() bool { return strings.EqualFold(f.AuditLog, "off") }

// open puts the audit log into service.
func (f auditFlags) open(service *services) (closeAll func(), err error) {
	options := audit.Options{KeepFor: time.Duration(f.AuditKeepDays) * 24 * time.Hour}
	if f.AuditKey != "" {
		if options.Key, err = f.key(); err != nil {
			return nil, lang.Errorf("--audit-key: %w", err)
		}
	}
	closeAnchors := func() {}
	if f.AuditAnchor != "" {
		token, err := config.Secret(os.LookupEnv, "SCNET_MCP_AUDIT_ANCHOR_TOKEN")
		if err != nil {
			return nil, err
		}
		if service.anchors, err = anchor.New(f.AuditAnchor, token); err != nil {
			return nil, lang.Errorf("--audit-anchor: %w", err)
		}
		sender := service.anchors
		options.Anchor, closeAnchors = sender.Send, func() { _ = sender.Close() } // it has logged what it could not send
	}
	var log *audit.Log
	if f.AuditLog == "" {
		// The log is opened with its first record: somebody who only reads gets no file, and a server on a read-only file system
		// starts and refuses what it cannot record.
		log = audit.Lazy(func() (string, error) { return audit.DefaultPath(os.LookupEnv) }, options)
	} else if log, err = audit.Open(f.AuditLog, options); err != nil {
		closeAnchors()
		return nil, lang.Errorf("the audit log cannot be opened: %w (--audit-log names another file, or off)", err)
	}
	service.Audit = log
	return func() {
		_ = log.Close() // with a last checkpoint, which is to be sent too
		closeAnchors()
	}, nil
}

func (f auditFlags) key() (*audit.Key, error) {
	log, err := f.AuditLog, error(nil)
	if log == "" {
		log, err = audit.DefaultPath(os.LookupEnv)
	}
	if err == nil { // without a place there will be no log
		if err := audit.CheckApart(f.AuditKey, log); err != nil {
			return nil, err
		}
	}
	return audit.ReadKey(f.AuditKey)
}

// watchAnchors makes what sends checkpoints tell watch and log what happens.
func (s services) watchAnchors(watch anchor.Watch, log zerolog.Logger) {
	if s.anchors != nil {
		s.anchors.WatchWith(watch, log)
	}
}
