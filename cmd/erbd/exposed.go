package main

import (
	"fmt"

	"github.com/erbd/erbd/engine/config"
	"github.com/erbd/erbd/engine/daemon"
	"github.com/erbd/erbd/engine/diag"
	"github.com/erbd/erbd/engine/lookup/mysql"
	"github.com/erbd/erbd/engine/route"
)

// warnOfExposure logs what leaves this machine without encryption, once as long as it stays so.
func (l *loader) warnOfExposure(snap *daemon.Snapshot) {
	faults := l.a.exposed(snap.Settings, snap.Routers)
	text := fmt.Sprint(faults)
	if text == l.exposed {
		return
	}
	l.exposed = text
	for _, d := range faults {
		l.log.Warn("a connection is not encrypted", "setting", d.Path, "problem", d.Message, "hint", d.Hint)
	}
}

// exposed are warnings of connections that leave this machine without encryption.
func (a *app) exposed(s *config.Settings, routers *route.Set) diag.List {
	faults := s.Exposed()
	if dsn, err := s.Lookup.DSN.Resolve(a.lookupEnv); err == nil && s.LookupType() == config.LookupMySQL {
		tls := s.Lookup.TLS
		if host := (mysql.Config{DSN: dsn, CA: tls.CA, Cert: tls.Cert, Key: tls.Key}).Exposed(); host != "" {
			faults = append(faults, &diag.Diagnostic{
				Pos: diag.Position{File: s.Origin("lookup.dsn")}, Severity: diag.Warning, Code: config.CodeOpen, Path: "lookup.dsn",
				Message: "users and courses come from " + host + " unencrypted", Hint: "add ?tls=true, or set lookup.tls.ca",
			})
		}
	}
	return append(faults, routers.Exposed()...)
}
