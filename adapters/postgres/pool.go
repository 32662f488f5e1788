package postgres

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says where the database is and how much of it this server uses.
type Config struct {
	URL            string
	MaxConnections int32         // of all pools together, at least 4
	IdleTimeout    time.Duration // idle connections are closed after it; 0 for the library's default
	MaxLifetime    time.Duration // connections are replaced after it; 0 for the library's default
	Description    string        // of this server, for people: host and process
	ClockOffset    time.Duration // added to the database's clock; for tests
	Tracer         pgx.QueryTracer
}

// DB is the database as this server uses it: a small hot pool whose every
// connection holds the server's instance lock, and one for everything else.
type DB struct {
	hot      *pgxpool.Pool
	reads    *pgxpool.Pool
	instance *instance
	offset   offset
	interest interest
	url      string
}

// hotConnections suffices for the four actors, the claim loop and recovery to
// be at work at once.
const hotConnections = 8

// Every hot statement is a nested loop over arrays with look-ups by primary key.
// These settings take all other plans away: one that is chosen while a table is
// nearly empty would stay cached.
var hotSettings = map[string]string{
	"application_name": "tasker", "plan_cache_mode": "force_generic_plan", "jit": "off",
	"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
	// A server frozen inside a transaction must not hold others up for ever, nor
	// may a stranger's open transaction hold up a batch.
	"idle_in_transaction_session_timeout": "15s", "lock_timeout": "2s",
}

// Open connects to a database whose schema is in place; see Migrate.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	db := &DB{instance: &instance{description: cfg.Description}, url: cfg.URL}
	db.Shift(cfg.ClockOffset)
	hot, err := pgxpool.ParseConfig(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("database url: %w", redactURL(err))
	}
	hot.MaxConns = min(hotConnections, max(2, cfg.MaxConnections/2))
	// Two, replaced at different times: between the end of one connection and the
	// start of the next, another must hold the instance lock, or this server
	// looks dead and its running steps are given to others.
	hot.MinConns = 2
	if cfg.IdleTimeout > 0 {
		hot.MaxConnIdleTime = cfg.IdleTimeout
	}
	if cfg.MaxLifetime > 0 {
		hot.MaxConnLifetime = cfg.MaxLifetime
	}
	hot.MaxConnLifetimeJitter = hot.MaxConnLifetime / 2
	hot.ConnConfig.Tracer = cfg.Tracer
	hot.ConnConfig.ConnectTimeout = 5 * time.Second
	set(hot.ConnConfig, hotSettings)
	hot.AfterConnect = db.instance.attach

	reads := hot.Copy()
	reads.AfterConnect = nil
	reads.MaxConns = max(2, cfg.MaxConnections-hot.MaxConns)
	reads.MinConns = 0
	set(reads.ConnConfig, map[string]string{
		"application_name": "tasker reads", "plan_cache_mode": "auto", "jit": "off",
		"enable_seqscan": "on", "enable_hashjoin": "on", "enable_mergejoin": "on",
		"statement_timeout": "15s",
	})
	if db.hot, err = pgxpool.NewWithConfig(ctx, hot); err != nil {
		return nil, fmt.Errorf("hot pool: %w", err)
	}
	if db.reads, err = pgxpool.NewWithConfig(ctx, reads); err != nil {
		db.hot.Close()
		return nil, fmt.Errorf("pool for reads: %w", err)
	}
	return db, nil
}

// offset is added to the database's clock. It is safe for concurrent use.
type offset struct{ by atomic.Int64 }

func (o *offset) get() time.Duration { return time.Duration(o.by.Load()) }

// Shift moves this server's view of the database's clock, for tests: whole hours
// of waiting pass at once. Leases are not affected.
func (db *DB) Shift(by time.Duration) { db.offset.by.Add(int64(by)) }

// Start makes the first connection, and with it takes an instance number.
func (db *DB) Start(ctx context.Context) error {
	conn, err := db.hot.Acquire(ctx)
	if err != nil {
		return translate(fmt.Errorf("connect: %w", err))
	}
	conn.Release()
	return nil
}

func set(c *pgx.ConnConfig, params map[string]string) {
	merged := make(map[string]string, len(c.RuntimeParams)+len(params))
	for k, v := range c.RuntimeParams {
		merged[k] = v
	}
	for k, v := range params {
		merged[k] = v
	}
	c.RuntimeParams = merged
}

// Ping asks whether the database answers.
func (db *DB) Ping(ctx context.Context) error {
	return translate(db.reads.Ping(ctx))
}

// PingHot asks the same over the connections that write.
func (db *DB) PingHot(ctx context.Context) error {
	return translate(db.hot.Ping(ctx))
}

// Close ends all connections; the instance's lock goes with them.
func (db *DB) Close() {
	db.hot.Close()
	db.reads.Close()
}

// Instance returns the number under which this server holds leases now; 0
// before the first connection.
func (db *DB) Instance() int32 { return db.instance.number() }

// PoolStats says how busy a pool is.
type PoolStats struct {
	Name                   string
	Active, Idle, Max      int32
	Acquires, SlowAcquires int64
	AverageAcquire         time.Duration
}

// Pools returns how busy the pools are.
func (db *DB) Pools() []PoolStats {
	out := make([]PoolStats, 0, 2)
	for name, p := range map[string]*pgxpool.Pool{"hot": db.hot, "reads": db.reads} {
		s := p.Stat()
		stats := PoolStats{
			Name: name, Active: s.AcquiredConns(), Idle: s.IdleConns(), Max: s.MaxConns(),
			Acquires: s.AcquireCount(), SlowAcquires: s.EmptyAcquireCount(),
		}
		if n := s.AcquireCount(); n > 0 {
			stats.AverageAcquire = s.AcquireDuration() / time.Duration(n)
		}
		out = append(out, stats)
	}
	return out
}
