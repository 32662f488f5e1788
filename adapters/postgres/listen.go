package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// message is what a transaction tells other servers: one, short, and coarse.
type message struct {
	Server  int32          `json:"s"`
	Jobs    bool           `json:"j,omitempty"`
	Waiting bool           `json:"w,omitempty"`
	Moved   bool           `json:"m,omitempty"`
	Follows bool           `json:"f,omitempty"` // the server follows tasks: it wants to know of every move
	Came    bool           `json:"n,omitempty"` // the server listens from now on: who follows tasks?
	Ended   []ident.TaskID `json:"c,omitempty"`
	Taken   []taken        `json:"t,omitempty"`
	Keys    bool           `json:"k,omitempty"`
}

// taken is a dispatch that is not its worker's any more.
type taken struct {
	Task     ident.TaskID `json:"t"`
	No       int32        `json:"n"`
	Dispatch int32        `json:"d"`
}

// maxNamed keeps a message far below the 8000 bytes that NOTIFY allows. Who
// ends more tasks than this in one batch tells of some of them only: the
// handlers of the others run to their end, and their results are stale.
const maxNamed = 100

// newsOf returns what a decision is to others; empty for nothing. Followed says
// that some server follows tasks: then every move of a step is news.
func newsOf(server int32, d plan.Decision, followed bool) string {
	m := message{Server: server, Jobs: len(d.Jobs) > 0}
	for i := range d.Steps {
		c := &d.Steps[i]
		m.Waiting = m.Waiting || c.State == step.WaitingForRetry
		m.Moved = m.Moved || followed && c.Moved()
		if c.Stop && len(m.Taken) < maxNamed/2 {
			m.Taken = append(m.Taken, taken{c.Ref.Task, c.Ref.No, c.Live})
		}
	}
	for i := range d.Created {
		m.Waiting = m.Waiting || !d.Created[i].WakeAt.IsZero()
	}
	for i := range d.Tasks {
		c := &d.Tasks[i]
		m.Moved = m.Moved || c.Moved()
		m.Waiting = m.Waiting || c.Moved() && !c.WakeAt.IsZero()
		if c.Moved() && c.State.Terminal() && c.State != task.Complete && len(m.Ended) < maxNamed/2 {
			m.Ended = append(m.Ended, c.ID)
		}
	}
	if !m.Jobs && !m.Waiting && !m.Moved && len(m.Taken) == 0 {
		return ""
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return "" // plain fields always marshal
	}
	return string(raw)
}

// interest remembers that other servers follow tasks. It is safe for concurrent
// use.
type interest struct{ until atomic.Int64 }

// interestLasts is how long one message of interest holds; they come every five
// seconds.
const interestLasts = 12 * time.Second

func (i *interest) renew() { i.until.Store(time.Now().Add(interestLasts).UnixNano()) }

func (i *interest) holds() bool { return time.Now().UnixNano() < i.until.Load() }

// newsOfClaim tells those who follow tasks that steps have begun.
func newsOfClaim(server int32) string {
	return fmt.Sprintf(`{"s":%d,"m":true}`, server)
}

// Follows tells other servers that tasks are followed here: for a while they
// say of every step that it moved.
func (w *Wire) Follows(ctx context.Context) error {
	return translate(w.say(ctx, w.db.reads, message{Server: w.db.Instance(), Follows: true}))
}

func (*Wire) say(ctx context.Context, on interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, m message,
) error {
	raw, err := json.Marshal(m)
	if err == nil {
		_, err = on.Exec(ctx, sqlNotify, string(raw))
	}
	if err != nil {
		return fmt.Errorf("tell other servers: %w", err)
	}
	return nil
}

// Wire listens to the other servers on a connection of its own.
type Wire struct {
	db  *DB
	log *slog.Logger
}

var _ ports.Newswire = (*Wire)(nil)

// NewWire returns a wire; see Listen.
func NewWire(db *DB, log *slog.Logger) *Wire { return &Wire{db: db, log: log} }

// Listen implements ports.Newswire.
func (w *Wire) Listen(ctx context.Context, tell func(ports.News)) error {
	const longest = 5 * time.Second
	pause := 50 * time.Millisecond
	for {
		started := time.Now()
		err := w.listenOnce(ctx, tell)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // whoever ends ctx wants no more news; nothing failed
		}
		if time.Since(started) > longest {
			pause = 50 * time.Millisecond
		}
		w.log.WarnContext(ctx, "lost the line to other servers; connecting again", "error", err, "pause", pause)
		retry := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			retry.Stop()
			return nil
		case <-retry.C:
		}
		pause = min(2*pause, longest)
	}
}

func (w *Wire) listenOnce(ctx context.Context, tell func(ports.News)) error {
	cfg, err := pgx.ParseConfig(w.db.url)
	if err != nil {
		return redactURL(err)
	}
	cfg.ConnectTimeout = 5 * time.Second
	cfg.RuntimeParams["application_name"] = "tasker listen"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "listen "+pgx.Identifier{Channel}.Sanitize()); err != nil {
		return err
	}
	if err := w.say(ctx, conn, message{Server: w.db.Instance(), Came: true}); err != nil {
		return err
	}
	// Whatever was said before this moment was missed.
	tell(ports.News{Lost: true})
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		var m message
		if err := json.Unmarshal([]byte(n.Payload), &m); err != nil {
			w.log.WarnContext(ctx, "news that cannot be read", "error", err)
			continue
		}
		if m.Server == w.db.Instance() {
			continue
		}
		if m.Follows {
			w.db.interest.renew()
			continue
		}
		news := ports.News{Server: m.Server, Jobs: m.Jobs, Waiting: m.Waiting, Moved: m.Moved, Came: m.Came, Keys: m.Keys, Ended: m.Ended}
		for _, t := range m.Taken {
			news.Taken = append(news.Taken, ports.Dispatch{Ref: ident.StepRef{Task: t.Task, No: t.No}, No: t.Dispatch})
		}
		tell(news)
	}
}
