package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tasker-go/tasker/core/ports"
)

// SQLSTATEs that are told apart.
const (
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateMoved         = "TK001" // tasker.require_rows
	stateLocked        = "55P03" // lock_timeout
)

// repeatable reports whether the same transaction may succeed at once: it met
// another, and nothing is wrong with either.
func repeatable(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == stateSerialization || pg.Code == stateDeadlock || pg.Code == stateMoved)
}

// translate marks errors that mean that the database is not there with
// ports.ErrOutage, and those of a lock that was waited for too long with
// ports.ErrContended; it leaves others as they are.
func translate(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == stateLocked {
		return fmt.Errorf("%w: %w", ports.ErrContended, err)
	}
	if err == nil || errors.Is(err, ports.ErrOutage) || !outage(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ports.ErrOutage, err)
}

func outage(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case strings.HasPrefix(pg.Code, "08"), // connection exceptions
			strings.HasPrefix(pg.Code, "57P"), // shutting down, starting up, recovering
			strings.HasPrefix(pg.Code, "58"),  // the system below: disk, files
			pg.Code == "53300",                // too many connections
			pg.Code == "53100",                // disk full
			pg.Code == "25006",                // read only: a standby after a failover
			pg.Code == "25P03",                // idle in transaction for too long
			pg.Code == "3D000":                // database dropped or not restored yet
			return true
		}
		return false
	}
	if errors.Is(err, context.Canceled) {
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, context.DeadlineExceeded) || pgconn.SafeToRetry(err) ||
		strings.Contains(err.Error(), "conn closed") || strings.Contains(err.Error(), "conn busy")
}

var password = regexp.MustCompile(`(://[^:/@\s]*):[^@\s]*@`)

// redactURL takes passwords out of an error about a connection string.
func redactURL(err error) error {
	return errors.New(password.ReplaceAllString(err.Error(), "$1:***@"))
}
