package postgres

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

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

func newsOf(server int32, d plan.Decision) string {
	m := message{Server: server, Jobs: len(d.Jobs) > 0}
	for i := range d.Steps {
		c := &d.Steps[i]
		m.Waiting = m.Waiting || c.State == step.WaitingForRetry
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
		news := ports.News{Server: m.Server, Jobs: m.Jobs, Waiting: m.Waiting, Moved: m.Moved, Keys: m.Keys, Ended: m.Ended}
		for _, t := range m.Taken {
			news.Taken = append(news.Taken, ports.Dispatch{Ref: ident.StepRef{Task: t.Task, No: t.No}, No: t.Dispatch})
		}
		tell(news)
	}
}
