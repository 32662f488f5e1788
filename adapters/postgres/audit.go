package postgres

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tasker-go/tasker/core/domain/audit"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.AuditReader = (*Audit)(nil)

var (
	//go:embed sql/audit_extent.sql
	sqlAuditExtent string
	//go:embed sql/audit_tasks.sql
	sqlAuditTasks string
	//go:embed sql/audit_steps.sql
	sqlAuditSteps string
	//go:embed sql/audit_task_moves.sql
	sqlAuditTaskMoves string
	//go:embed sql/audit_step_moves.sql
	sqlAuditStepMoves string
	//go:embed sql/audit_jobs.sql
	sqlAuditJobs string
	//go:embed sql/audit_letters.sql
	sqlAuditLetters string
	//go:embed sql/audit_failures.sql
	sqlAuditFailures string
	//go:embed sql/audit_owners.sql
	sqlAuditOwners string
	//go:embed sql/audit_counts.sql
	sqlAuditCounts string
	//go:embed sql/audit_ownerless.sql
	sqlAuditOwnerless string
	//go:embed sql/audit_identities.sql
	sqlAuditIdentities string
	//go:embed sql/audit_stray_jobs.sql
	sqlAuditStrayJobs string
)

// auditSteps is how many steps a page of tasks has, but for its last task.
const auditSteps = 20000

// Audit reads a whole database to check it, over one connection of its own: it
// takes no instance number, and can write nothing. It is not safe for concurrent
// use.
type Audit struct {
	conn      *pgx.Conn
	jobs      string // the kind of a step's job
	taskPaths map[string]path[task.State]
	stepPaths map[string]path[step.State]
}

// OpenAudit connects to a database whose schema is in place.
func OpenAudit(ctx context.Context, url, jobKind string) (*Audit, error) {
	pooled, err := pgxpool.ParseConfig(url) // a URL may have settings of pools
	if err != nil {
		return nil, fmt.Errorf("database url: %w", redactURL(err))
	}
	cfg := pooled.ConnConfig
	cfg.ConnectTimeout = 5 * time.Second
	set(cfg, map[string]string{
		"application_name": "tasker check", "default_transaction_read_only": "on", "jit": "off",
		"statement_timeout": "0", "lock_timeout": "5s",
		// Pages are found through indexes, whatever the planner has heard of tables
		// that have just grown.
		"enable_seqscan": "off",
	})
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, translate(fmt.Errorf("connect: %w", err))
	}
	return &Audit{conn: conn, jobs: jobKind, taskPaths: map[string]path[task.State]{}, stepPaths: map[string]path[step.State]{}}, nil
}

// Close ends the connection.
func (a *Audit) Close(ctx context.Context) error { return a.conn.Close(ctx) }

// Extent implements ports.AuditReader.
func (a *Audit) Extent(ctx context.Context) (ports.AuditExtent, error) {
	var (
		e    ports.AuditExtent
		last *ident.TaskID
	)
	err := a.conn.QueryRow(ctx, sqlAuditExtent, a.jobs).Scan(&last, &e.Jobs)
	if last != nil {
		e.Last = *last
	}
	return e, translate(err)
}

// Cases implements ports.AuditReader.
func (a *Audit) Cases(ctx context.Context, after, last ident.TaskID, limit int) (cases []audit.Case, now time.Time, err error) {
	err = pgx.BeginTxFunc(ctx, a.conn, pgx.TxOptions{BeginQuery: beginSnapshot}, func(tx pgx.Tx) error {
		if cases, now, err = auditTasks(ctx, tx, after, last, limit); err != nil || len(cases) == 0 {
			return err
		}
		return a.fill(ctx, tx, after, cases)
	})
	return cases, now.UTC(), translate(err)
}

func auditTasks(ctx context.Context, tx pgx.Tx, after, last ident.TaskID, limit int) ([]audit.Case, time.Time, error) {
	rows, err := tx.Query(ctx, sqlAuditTasks, after, last, limit, auditSteps)
	if err != nil {
		return nil, time.Time{}, err
	}
	var (
		cases []audit.Case
		t     audit.Task
		state string
		wake  *time.Time
		now   time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{
		&t.ID, &t.Template, &t.TemplateKnown, &state, &t.Total, &t.Open, &t.Active, &t.Retrying, &t.Failed,
		&wake, &t.Letters, &t.LetterOpen, &t.Paused, &now,
	}, func() error {
		t.State, t.WakeAt = known(task.ParseState, state), moment(wake)
		cases = append(cases, audit.Case{Task: t})
		return nil
	})
	return cases, now, err
}

// known reads a state; one that nobody knows is the zero State, and a matter for
// the rules.
func known[S any](parse func(string) (S, error), name string) S {
	s, err := parse(name)
	if err != nil {
		var none S
		return none
	}
	return s
}

// fill reads the rows of the tasks, in one round trip. They come in the order of
// the tasks.
func (a *Audit) fill(ctx context.Context, tx pgx.Tx, after ident.TaskID, cases []audit.Case) error {
	last := cases[len(cases)-1].Task.ID
	ids := make([]string, len(cases))
	for i := range cases {
		ids[i] = cases[i].Task.ID.String()
	}
	var b pgx.Batch
	b.Queue(sqlAuditSteps, after, last).Query(func(rows pgx.Rows) error { return fillSteps(rows, cases) })
	b.Queue(sqlAuditTaskMoves, after, last).Query(func(rows pgx.Rows) error { return a.fillTaskMoves(rows, cases) })
	b.Queue(sqlAuditStepMoves, after, last).Query(func(rows pgx.Rows) error { return a.fillStepMoves(rows, cases) })
	b.Queue(sqlAuditJobs, ids, a.jobs).Query(func(rows pgx.Rows) error { return fillJobs(rows, cases) })
	b.Queue(sqlAuditLetters, after, last).Query(func(rows pgx.Rows) error { return fillLetters(rows, cases) })
	b.Queue(sqlAuditFailures, after, last).Query(func(rows pgx.Rows) error { return fillFailures(rows, cases) })
	b.Queue(sqlAuditOwners, lockClass).Query(func(rows pgx.Rows) error { return fillOwners(rows, cases) })
	return tx.SendBatch(ctx, &b).Close()
}

// place finds the cases of rows that come in the order of their tasks.
type place struct {
	cases []audit.Case
	at    int
}

// of returns the case of a task, or nil if it has none: rows without a task are
// a matter of Strays.
func (p *place) of(id ident.TaskID) *audit.Case {
	for p.at < len(p.cases) {
		switch c := &p.cases[p.at]; bytes.Compare(c.Task.ID[:], id[:]) {
		case 0:
			return c
		case 1:
			return nil
		}
		p.at++
	}
	return nil
}

func fillSteps(rows pgx.Rows, cases []audit.Case) error {
	var (
		p     = place{cases: cases}
		id    ident.TaskID
		state string
		owner *int32
		wake  *time.Time
		s     audit.Step
	)
	_, err := pgx.ForEachRow(rows, []any{
		&id, &s.No, &s.Name, &state, &s.OpenParents, &s.Attempts, &s.MaxAttempts, &s.Dispatch, &owner, &wake, &s.Result, &s.Parents,
	}, func() error {
		if c := p.of(id); c != nil {
			s.State, s.WakeAt = known(step.ParseState, state), moment(wake)
			if s.Leased, s.Owner = owner != nil, 0; s.Leased {
				s.Owner = *owner
			}
			c.Steps = append(c.Steps, s)
		}
		s.Parents = nil // the next row's are another slice
		return nil
	})
	return err
}

// path is the states of a row of history.
type path[S any] struct {
	from, to S
	by       []S
}

// pathOf reads the text form that the statements make of the states of a row.
func pathOf[S any](cache map[string]path[S], parse func(string) (S, error), text string) path[S] {
	p, ok := cache[text]
	if !ok {
		names := strings.Split(text, ",")
		p.from = known(parse, names[0])
		if len(names) > 1 {
			p.to = known(parse, names[1])
			for _, name := range names[2:] {
				p.by = append(p.by, known(parse, name))
			}
		}
		cache[strings.Clone(text)] = p
	}
	return p
}

func (a *Audit) fillTaskMoves(rows pgx.Rows, cases []audit.Case) error {
	var (
		p      = place{cases: cases}
		id     ident.TaskID
		at     time.Time
		states string
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &at, &states}, func() error {
		if c := p.of(id); c != nil {
			s := pathOf(a.taskPaths, task.ParseState, states)
			c.TaskMoves = append(c.TaskMoves, audit.Move[task.State]{At: at, From: s.from, To: s.to, Path: s.by})
		}
		return nil
	})
	return err
}

func (a *Audit) fillStepMoves(rows pgx.Rows, cases []audit.Case) error {
	var (
		p      = place{cases: cases}
		id     ident.TaskID
		m      audit.StepMove
		states string
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &m.No, &m.Dispatch, &m.Attempt, &m.At, &states}, func() error {
		if c := p.of(id); c != nil {
			s := pathOf(a.stepPaths, step.ParseState, states)
			m.From, m.To, m.Path = s.from, s.to, s.by
			c.StepMoves = append(c.StepMoves, m)
		}
		return nil
	})
	return err
}

func fillJobs(rows pgx.Rows, cases []audit.Case) error {
	var (
		p  = place{cases: cases}
		id ident.TaskID
		j  audit.Job
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &j.ID, &j.Parked, &j.No, &j.Dispatch}, func() error {
		if c := p.of(id); c != nil {
			c.Jobs = append(c.Jobs, j)
		}
		return nil
	})
	return err
}

func fillLetters(rows pgx.Rows, cases []audit.Case) error {
	var (
		p        = place{cases: cases}
		id       ident.TaskID
		resolved *time.Time
		l        audit.Letter
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &l.Ordinal, &l.Open, &resolved}, func() error {
		if c := p.of(id); c != nil {
			l.ResolvedAt = moment(resolved)
			c.Letters = append(c.Letters, l)
		}
		return nil
	})
	return err
}

func fillFailures(rows pgx.Rows, cases []audit.Case) error {
	var (
		p  = place{cases: cases}
		id ident.TaskID
		f  audit.Failure
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &f.No, &f.Dispatch}, func() error {
		if c := p.of(id); c != nil {
			c.Failures = append(c.Failures, f)
		}
		return nil
	})
	return err
}

func fillOwners(rows pgx.Rows, cases []audit.Case) error {
	var (
		no     int32
		until  *time.Time
		o      audit.Owner
		owners = map[int32]audit.Owner{}
	)
	_, err := pgx.ForEachRow(rows, []any{&no, &o.Started, &until, &o.Held}, func() error {
		o.Until = moment(until)
		owners[no] = o
		return nil
	})
	for i := range cases {
		cases[i].Owners = owners
	}
	return err
}

// Strays implements ports.AuditReader. Each question is one statement, so that
// it sees one moment.
func (a *Audit) Strays(ctx context.Context) (audit.Strays, error) {
	var s audit.Strays
	// Whole tables are read here.
	if _, err := a.conn.Exec(ctx, "set enable_seqscan = on"); err != nil {
		return s, translate(err)
	}
	var err error
	if s.Identities, err = auditAll[audit.Identity](ctx, a.conn, sqlAuditIdentities); err != nil {
		return s, err
	}
	if s.Counts, err = auditAll[audit.Count](ctx, a.conn, sqlAuditCounts); err != nil {
		return s, err
	}
	if s.Rows, err = auditAll[audit.Ownerless](ctx, a.conn, sqlAuditOwnerless); err != nil {
		return s, err
	}
	s.Jobs, err = auditAll[audit.StrayJob](ctx, a.conn, sqlAuditStrayJobs, a.jobs)
	if err != nil {
		return s, err
	}
	_, err = a.conn.Exec(ctx, "set enable_seqscan = off")
	return s, translate(err)
}

func auditAll[T any](ctx context.Context, conn *pgx.Conn, sql string, args ...any) ([]T, error) {
	rows, err := conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	return all, translate(err)
}
