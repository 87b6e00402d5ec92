package driver

import (
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/mediafn/mediafn/core/errs"
)

// Kind tells the kind of a database's error. It goes by what errors say about
// themselves (their kind, the standard's SQLSTATE, SQLite's result code, their
// being of the network), not by their text. What nobody knows is Internal.
func Kind(err error) errs.Kind {
	if kind := errs.KindOf(err); kind != errs.Internal {
		return kind
	}
	var state interface{ SQLState() string }
	if errors.As(err, &state) {
		return kindOfState(state.SQLState())
	}
	var code interface{ Code() int }
	if errors.As(err, &code) {
		return kindOfCode(code.Code())
	}
	var unsent interface{ SafeToRetry() bool } // pgx: nothing reached the server
	var network net.Error
	switch {
	case errors.As(err, &unsent) && unsent.SafeToRetry(), errors.As(err, &network),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, sqldriver.ErrBadConn), errors.Is(err, sql.ErrConnDone):
		return errs.Transient
	}
	return errs.Internal
}

// kindOfState reads a SQLSTATE (PostgreSQL 15, appendix A).
func kindOfState(state string) errs.Kind {
	switch state {
	case "23505": // unique_violation
		return errs.Conflict
	case "22021", "22P05": // a character the database can't store
		return errs.Invalid
	case "25006", // read only: it became a standby
		"25P03",          // idle in transaction for too long
		"55P03", "55006", // a lock was not to be had, an object is in use
		"57014",                                     // canceled, by an operator or a timeout
		"57P01", "57P02", "57P03", "57P04", "57P05": // shutting down, crashed, starting
		return errs.Transient
	}
	for _, class := range []string{"08", "40", "53", "58"} { // connection, rollback, resources, system
		if strings.HasPrefix(state, class) {
			return errs.Transient
		}
	}
	if strings.HasPrefix(state, "28") { // who are you?
		return errs.Denied
	}
	return errs.Internal
}

// kindOfCode reads a result code of SQLite (sqlite.org/rescode.html). The low
// byte is the primary code.
func kindOfCode(code int) errs.Kind {
	switch code {
	case 1555, 2067: // SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE
		return errs.Conflict
	}
	switch code & 0xff {
	case 5, 6, 10, 13: // SQLITE_BUSY, _LOCKED, _IOERR, _FULL
		return errs.Transient
	}
	return errs.Internal
}
