package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// Security keeps API keys and the audit log. What it does is rare and short, and
// goes over the connections for reads: those for tasks stay free.
type Security struct {
	pool   *pgxpool.Pool
	offset *offset
}

var (
	_ ports.Keys      = (*Security)(nil)
	_ ports.ChangeLog = (*Security)(nil)
)

// NewSecurity returns the store over the connections of a server.
func NewSecurity(db *DB) *Security { return &Security{pool: db.reads, offset: &db.offset} }

// OpenSecurity connects to a database whose schema is in place, for somebody who
// is no server. It has to be closed.
func OpenSecurity(ctx context.Context, url string) (*Security, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", redactURL(err))
	}
	cfg.MaxConns = 1
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	set(cfg.ConnConfig, map[string]string{"application_name": "tasker keys"})
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", redactURL(err))
	}
	return &Security{pool: pool, offset: &offset{}}, nil
}

// Close ends the connections of OpenSecurity.
func (s *Security) Close() { s.pool.Close() }

const (
	keyColumns = `
  key_id, name, permissions, roles, namespaces, secret_hash, old_hash, old_until,
  created_at, created_by, expires_at, rotated_at, last_used_at, revoked_at, revoked_by`
	sqlAllKeys = `select` + keyColumns + ` from tasker.api_keys order by created_at desc, key_id`
	sqlAddKey  = `
insert into tasker.api_keys (key_id, name, permissions, roles, namespaces, secret_hash, created_by, expires_at, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + $9::interval)
returning` + keyColumns
	sqlLockKey = `select` + keyColumns + `, clock_timestamp() + $2::interval from tasker.api_keys where key_id = $1 for update`
	sqlRotate  = `
update tasker.api_keys
set old_hash = secret_hash, old_until = $3::timestamptz + $4::interval, secret_hash = $2, rotated_at = $3
where key_id = $1
returning` + keyColumns
	sqlRevoke   = `update tasker.api_keys set revoked_at = $2, revoked_by = $3 where key_id = $1 returning` + keyColumns
	sqlKeysUsed = `
update tasker.api_keys k set last_used_at = greatest(k.last_used_at, u.at)
from unnest($1::text[], $2::timestamptz[]) as u(key_id, at)
where k.key_id = u.key_id`
)

// keyName is the index that keeps the names of keys apart.
const keyName = "api_keys_name"

// stateUnique is the SQLSTATE of a row that is there already.
const stateUnique = "23505"

// change does something about keys and tells all servers, this one too, with the
// commit.
func (s *Security) change(ctx context.Context, what string, do func(pgx.Tx) error) error {
	news, err := json.Marshal(message{Keys: true}) // 0 is nobody's number
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return settle(what, pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if err := do(tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, sqlNotify, string(news))
		return err
	}))
}

// AllKeys implements ports.Keys.
func (s *Security) AllKeys(ctx context.Context) ([]access.Key, error) {
	rows, err := s.pool.Query(ctx, sqlAllKeys)
	if err != nil {
		return nil, settle("read keys", err)
	}
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (access.Key, error) { return keyOf(row) })
	return keys, settle("read keys", err)
}

// AddKey implements ports.Keys.
func (s *Security) AddKey(ctx context.Context, k access.Key) (out access.Key, err error) {
	err = s.change(ctx, "add a key", func(tx pgx.Tx) error {
		out, err = keyOf(tx.QueryRow(ctx, sqlAddKey, k.ID, k.Name, texts(k.Permissions), texts(k.Roles), texts(k.Namespaces),
			k.Hash[:], k.CreatedBy, orNull(k.ExpiresAt), s.offset.get()))
		if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == stateUnique && pg.ConstraintName == keyName {
			return fault.In("name", fault.CodeKeyExists, "there is a key named %q already; revoke it first, or choose another name", k.Name)
		}
		return err
	})
	return out, err
}

// locked reads a key and keeps others from changing it; now is the time.
func (s *Security) locked(ctx context.Context, tx pgx.Tx, id string) (k access.Key, now time.Time, err error) {
	k, err = keyOf(tx.QueryRow(ctx, sqlLockKey, id, s.offset.get()), &now)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fault.New(fault.CodeKeyNotFound, "there is no key %s", id)
	}
	return k, now, err
}

// RotateKey implements ports.Keys.
func (s *Security) RotateKey(ctx context.Context, id string, hash access.SecretHash, grace time.Duration) (out access.Key, err error) {
	err = s.change(ctx, "rotate a key", func(tx pgx.Tx) error {
		k, now, err := s.locked(ctx, tx, id)
		if err != nil {
			return err
		}
		if err := ports.KeyLives(k, now); err != nil {
			return err
		}
		out, err = keyOf(tx.QueryRow(ctx, sqlRotate, id, hash[:], now, grace))
		return err
	})
	return out, err
}

// RevokeKey implements ports.Keys.
func (s *Security) RevokeKey(ctx context.Context, id, by string) (out access.Key, err error) {
	err = s.change(ctx, "revoke a key", func(tx pgx.Tx) error {
		k, now, err := s.locked(ctx, tx, id)
		if err != nil || k.Revoked() {
			out = k
			return err
		}
		out, err = keyOf(tx.QueryRow(ctx, sqlRevoke, id, now, by))
		return err
	})
	return out, err
}

// KeysUsed implements ports.Keys.
func (s *Security) KeysUsed(ctx context.Context, at map[string]time.Time) error {
	ids, times := make([]string, 0, len(at)), make([]time.Time, 0, len(at))
	for id, t := range at {
		ids, times = append(ids, id), append(times, t)
	}
	_, err := s.pool.Exec(ctx, sqlKeysUsed, ids, times)
	return settle("note when keys were used", err)
}

// keyOf reads keyColumns, and what the row has beside them.
func keyOf(row pgx.Row, more ...any) (access.Key, error) {
	var (
		k                                       access.Key
		permissions                             []string
		hash, old                               []byte
		oldUntil, expires, rotated, used, ended *time.Time
	)
	err := row.Scan(append([]any{
		&k.ID, &k.Name, &permissions, &k.Roles, &k.Namespaces, &hash, &old, &oldUntil,
		&k.CreatedAt, &k.CreatedBy, &expires, &rotated, &used, &ended, &k.RevokedBy,
	}, more...)...)
	if err != nil {
		return access.Key{}, err
	}
	for _, p := range permissions {
		k.Permissions = append(k.Permissions, access.Permission(p))
	}
	copy(k.Hash[:], hash)
	copy(k.OldHash[:], old)
	k.CreatedAt = k.CreatedAt.UTC()
	for _, t := range []struct{ from, to *time.Time }{
		{oldUntil, &k.OldUntil}, {expires, &k.ExpiresAt}, {rotated, &k.RotatedAt}, {used, &k.LastUsed}, {ended, &k.RevokedAt},
	} {
		if t.from != nil {
			*t.to = t.from.UTC()
		}
	}
	return k, nil
}

// texts returns a list that is not null.
func texts[S ~string](all []S) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return out
}

// orNull returns a time as an argument; nil for never.
func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

const (
	changeColumns = `
  audit_id, at, principal, principal_kind, principal_id, operation, target_kind, target, namespace, reason, outcome, request_id,
  remote_address, door`
	sqlRecordChange = `
insert into tasker.audit_log (at, principal, principal_kind, principal_id, operation, target_kind, target, namespace, reason, outcome,
  request_id, remote_address, door)
values (clock_timestamp() + $1::interval, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`
	// Planned for its arguments: what is not asked for costs nothing.
	sqlChanges = `select` + changeColumns + ` from tasker.audit_log
where ($1 = '' or principal = $1) and ($2 = '' or operation = $2) and ($3 = '' or target = $3)
  and ($4::text[] is null or namespace = any ($4)) and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
  and ($7 = 0::bigint or audit_id < $7)
order by audit_id desc
limit $8`
)

// RecordChange implements ports.ChangeLog.
func (s *Security) RecordChange(ctx context.Context, c ports.Change) error {
	_, err := s.pool.Exec(ctx, sqlRecordChange, s.offset.get(), c.Principal.Subject, string(c.Principal.Kind), c.Principal.ID,
		c.Operation, c.Target.Kind, c.Target.ID, c.Namespace, c.Reason, c.Outcome, c.RequestID, c.Remote, c.Door)
	return settle("write the audit log", err)
}

// Changes implements ports.ChangeLog.
func (s *Security) Changes(ctx context.Context, f ports.ChangeFilter, before int64, limit int) (out []ports.Change, err error) {
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{BeginQuery: beginList}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sqlChanges, f.Principal, f.Operation, f.Target, f.Namespaces, orNull(f.From), orNull(f.Until), before, limit)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, changeOf)
		return err
	})
	return out, settle("read the audit log", err)
}

func changeOf(row pgx.CollectableRow) (ports.Change, error) {
	var c ports.Change
	p := &c.Principal
	err := row.Scan(&c.ID, &c.At, &p.Subject, (*string)(&p.Kind), &p.ID, &c.Operation, &c.Target.Kind, &c.Target.ID, &c.Namespace, &c.Reason,
		&c.Outcome, &c.RequestID, &c.Remote, &c.Door)
	c.At = c.At.UTC()
	return c, err
}
