package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.Letters = (*Store)(nil)

const letterColumns = `
  d.dlq_entry_uuid, d.task_id, d.ordinal, d.namespace, d.task_name, d.version, d.original_state, d.dlq_reason,
  d.dlq_timestamp, d.resolution_status, d.resolution_timestamp, coalesce(d.resolution_notes, ''),
  coalesce(d.resolved_by, ''), d.fingerprint, d.task_snapshot, d.metadata, d.created_at, d.updated_at`

// What a filter selects. Its statements are planned for their arguments, so that
// what is not asked for costs nothing; see beginList.
const lettersSelected = `
      ($2::text[] is null or d.dlq_reason = any ($2))
  and ($3::text[] is null or d.namespace = any ($3))
  and ($4::text is null or d.task_name = $4)
  and ($5::text is null or d.version = $5)
  and ($6::text is null or d.dlq_entry_uuid in (
        select f.dlq_entry_uuid from tasker.dlq_failures f where f.fingerprint = $6))
  and ($7::timestamptz is null or d.dlq_timestamp >= $7)
  and ($8::timestamptz is null or d.dlq_timestamp < $8)`

// letterSelection is a filter as the arguments $1 to $8.
func letterSelection(f ports.LetterFilter) []any {
	statuses := []deadletter.Status{f.Status}
	if f.Status == 0 {
		statuses = deadletter.Statuses()
	}
	return []any{
		names(statuses), names(f.Reasons), f.Namespaces(), nullable(f.Name), nullable(f.Version),
		nullable(f.Fingerprint), instant(f.From), instant(f.Until),
	}
}

// names returns the names of values; nil for none.
func names[T fmt.Stringer](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}

// Each status has its own range of the index, which holds it in order.
const sqlLetters = `
select` + letterColumns + `
from unnest($1::text[]) as s(status)
cross join lateral (
  select d.* from tasker.tasks_dlq d
  where d.resolution_status = s.status and` + lettersSelected + `
  order by d.dlq_timestamp desc, d.dlq_entry_uuid desc
  limit $9::bigint + $10::bigint
) d
order by d.dlq_timestamp desc, d.dlq_entry_uuid desc
offset $9 limit $10`

// Letters implements ports.Letters.
func (s *Store) Letters(ctx context.Context, f ports.LetterFilter, skip, limit int) ([]ports.Letter, error) {
	var out []ports.Letter
	err := s.listing(ctx, "dead letters", sqlLetters, append(letterSelection(f), int64(skip), int64(limit)), func(rows pgx.Rows) (err error) {
		out, err = pgx.CollectRows(rows, letterOf)
		return err
	})
	return out, err
}

// listing reads the rows of one statement that is planned for its arguments.
func (s *Store) listing(ctx context.Context, what, sql string, args []any, read func(pgx.Rows) error) error {
	return s.listingAs(ctx, beginList, what, sql, args, read)
}

// listingAs is listing under other settings.
func (s *Store) listingAs(ctx context.Context, begin, what, sql string, args []any, read func(pgx.Rows) error) error {
	err := pgx.BeginTxFunc(ctx, s.reads, pgx.TxOptions{BeginQuery: begin}, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		return read(rows)
	})
	if err != nil {
		return translate(fmt.Errorf("read %s: %w", what, err))
	}
	return nil
}

// letterRow is what a row of letterColumns is scanned into.
type letterRow struct {
	ports.Letter
	state, reason, status string
	resolved              *time.Time
}

func (r *letterRow) fields() []any {
	l := &r.Letter
	return []any{
		&l.ID, &l.Task, &l.Ordinal, &l.Name.Namespace, &l.Name.Name, &l.Name.Version, &r.state, &r.reason,
		&l.At, &r.status, &r.resolved, &l.Notes, &l.ResolvedBy, &l.Fingerprint, &l.Snapshot, &l.Metadata, &l.CreatedAt, &l.UpdatedAt,
	}
}

func (r *letterRow) letter() (ports.Letter, error) {
	var errs [3]error
	l := r.Letter
	l.OriginalState, errs[0] = task.ParseState(r.state)
	l.Reason, errs[1] = deadletter.ParseReason(r.reason)
	l.Status, errs[2] = deadletter.ParseStatus(r.status)
	l.At, l.CreatedAt, l.UpdatedAt, l.ResolvedAt = l.At.UTC(), l.CreatedAt.UTC(), l.UpdatedAt.UTC(), moment(r.resolved)
	if err := errors.Join(errs[:]...); err != nil {
		return ports.Letter{}, fmt.Errorf("dead letter %s: %w", l.ID, err)
	}
	return l, nil
}

func letterOf(row pgx.CollectableRow) (ports.Letter, error) {
	var r letterRow
	if err := row.Scan(r.fields()...); err != nil {
		return ports.Letter{}, err
	}
	return r.letter()
}

const (
	sqlLetter       = `select` + letterColumns + ` from tasker.tasks_dlq d where d.dlq_entry_uuid = $1`
	sqlLetterOfTask = `select` + letterColumns + ` from tasker.tasks_dlq d where d.task_id = $1 order by d.ordinal desc limit 1`
)

// Letter implements ports.Letters.
func (s *Store) Letter(ctx context.Context, id deadletter.EntryID) (ports.Letter, error) {
	l, err := queryLetter(ctx, s.reads, sqlLetter, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return ports.Letter{}, letterNotFound(id)
	}
	return l, translate(err)
}

// LetterOf implements ports.Letters.
func (s *Store) LetterOf(ctx context.Context, id ident.TaskID) (ports.Letter, error) {
	l, err := queryLetter(ctx, s.reads, sqlLetterOfTask, id)
	if errors.Is(err, pgx.ErrNoRows) {
		return ports.Letter{}, fault.New(fault.CodeDeadLetterNotFound, "task %s has no dead letter", id)
	}
	return l, translate(err)
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func queryLetter(ctx context.Context, q querier, sql string, arg any) (ports.Letter, error) {
	rows, err := q.Query(ctx, sql, arg)
	if err != nil {
		return ports.Letter{}, fmt.Errorf("read a dead letter: %w", err)
	}
	return pgx.CollectExactlyOneRow(rows, letterOf)
}

func letterNotFound(id deadletter.EntryID) *fault.Error {
	return fault.New(fault.CodeDeadLetterNotFound, "there is no dead letter %s", id)
}

const sqlFailures = `
select f.task_id, f.step_no, f.step_name, f.dispatch_no, f.attempt, f.at, f.error_type, f.message, f.fingerprint
from tasker.dlq_failures f
where f.dlq_entry_uuid = $1
order by f.at, f.step_no, f.dispatch_no
limit $2`

// Failures implements ports.Letters.
func (s *Store) Failures(ctx context.Context, id deadletter.EntryID, limit int) ([]ports.LetterFailure, error) {
	var out []ports.LetterFailure
	err := s.listing(ctx, "the failures of a dead letter", sqlFailures, []any{id, limit}, func(rows pgx.Rows) error {
		var f ports.LetterFailure
		_, err := pgx.ForEachRow(rows,
			[]any{&f.Ref.Task, &f.Ref.No, &f.Name, &f.Dispatch, &f.Attempt, &f.At, &f.Type, &f.Message, &f.Fingerprint},
			func() error { f.At = f.At.UTC(); out = append(out, f); return nil })
		return err
	})
	return out, err
}

const sqlLetterStats = `
select d.dlq_reason, count(*),
       count(*) filter (where d.resolution_status = 'pending'),
       count(*) filter (where d.resolution_status = 'manually_resolved'),
       count(*) filter (where d.resolution_status = 'permanently_failed'),
       count(*) filter (where d.resolution_status = 'cancelled'),
       min(d.dlq_timestamp), max(d.dlq_timestamp),
       avg(extract(epoch from coalesce(d.resolution_timestamp, clock_timestamp() + $1::interval) - d.dlq_timestamp))::float8 / 60
from tasker.tasks_dlq d
where $2::text[] is null or d.namespace = any ($2)
group by d.dlq_reason
order by d.dlq_reason`

// Stats implements ports.Letters.
func (s *Store) Stats(ctx context.Context, within []string) ([]ports.LetterStat, error) {
	var out []ports.LetterStat
	err := s.listing(ctx, "statistics of dead letters", sqlLetterStats, []any{s.offset.get(), within}, func(rows pgx.Rows) error {
		var (
			x      ports.LetterStat
			reason string
		)
		_, err := pgx.ForEachRow(rows,
			[]any{&reason, &x.Total, &x.Pending, &x.Resolved, &x.Failed, &x.Cancelled, &x.Oldest, &x.Newest, &x.AverageMinutes},
			func() (err error) {
				x.Reason, err = deadletter.ParseReason(reason)
				x.Oldest, x.Newest = x.Oldest.UTC(), x.Newest.UTC()
				out = append(out, x)
				return err
			})
		return err
	})
	return out, err
}

// What is said of a group is that of its newest failure.
const sqlLetterGroups = `
with selected as materialized (
  select d.dlq_entry_uuid, d.namespace, d.task_name, d.version from tasker.tasks_dlq d
  where d.resolution_status = any ($1) and` + lettersSelected + `
), failures as (
  select f.*, d.namespace, d.task_name, d.version
  from selected d join tasker.dlq_failures f using (dlq_entry_uuid)
  where $6::text is null or f.fingerprint = $6
), largest as materialized (
  select f.fingerprint, count(distinct f.dlq_entry_uuid) as letters, count(*) as failures, min(f.at) as first, max(f.at) as last
  from failures f
  group by f.fingerprint
  order by letters desc, failures desc, f.fingerprint
  limit $9
), newest as (
  select distinct on (f.fingerprint) f.*
  from largest g join failures f on f.fingerprint = g.fingerprint and f.at = g.last
  order by f.fingerprint, f.task_id desc, f.step_no
)
select g.fingerprint, f.namespace, f.task_name, f.version, f.step_name, f.error_type, f.message, g.letters, g.failures, g.first, g.last
from largest g join newest f using (fingerprint)
order by g.letters desc, g.failures desc, g.fingerprint`

// Groups implements ports.Letters.
func (s *Store) Groups(ctx context.Context, f ports.LetterFilter, limit int) ([]ports.LetterGroup, error) {
	var out []ports.LetterGroup
	err := s.listing(ctx, "groups of dead letters", sqlLetterGroups, append(letterSelection(f), limit), func(rows pgx.Rows) error {
		var g ports.LetterGroup
		_, err := pgx.ForEachRow(rows, []any{
			&g.Fingerprint, &g.Name.Namespace, &g.Name.Name, &g.Name.Version, &g.Step, &g.Type, &g.Message,
			&g.Letters, &g.Failures, &g.First, &g.Last,
		}, func() error {
			g.First, g.Last = g.First.UTC(), g.Last.UTC()
			out = append(out, g)
			return nil
		})
		return err
	})
	return out, err
}

// The order is found among the letters alone; their tasks are looked up for
// those that are shown.
const sqlInvestigations = `
with moment as materialized (
  select clock_timestamp() + $1::interval as at
), first as materialized (
  select d.*, extract(epoch from moment.at - d.dlq_timestamp)::float8 / 60 as minutes, w.weight
  from moment
  cross join tasker.tasks_dlq d
  join unnest($2::text[], $3::float8[]) as w(reason, weight) on w.reason = d.dlq_reason
  where d.resolution_status = 'pending' and ($5::text[] is null or d.namespace = any ($5))
  order by w.weight + extract(epoch from moment.at - d.dlq_timestamp)::float8 / 60 desc, d.dlq_entry_uuid
  limit $4
)
select` + letterColumns + `,
       d.minutes, d.weight + d.minutes, t.state, floor(extract(epoch from moment.at - t.entered_at) / 60)::integer
from first d
cross join moment
join tasker.tasks t on t.task_id = d.task_id
order by d.weight + d.minutes desc, d.dlq_entry_uuid`

// Investigations implements ports.Letters.
func (s *Store) Investigations(ctx context.Context, within []string, limit int) ([]ports.Investigation, error) {
	reasons := deadletter.Reasons()
	weights := make([]float64, len(reasons))
	for i, r := range reasons {
		weights[i] = r.Weight()
	}
	var out []ports.Investigation
	args := []any{s.offset.get(), names(reasons), weights, limit, within}
	err := s.listing(ctx, "the queue of investigations", sqlInvestigations, args, func(rows pgx.Rows) (err error) {
		out, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (i ports.Investigation, err error) {
			var (
				r     letterRow
				state string
			)
			if err := row.Scan(append(r.fields(), &i.MinutesInDLQ, &i.PriorityScore, &state, &i.StateMinutes)...); err != nil {
				return i, err
			}
			if i.CurrentState, err = task.ParseState(state); err != nil {
				return i, err
			}
			i.Letter, err = r.letter()
			return i, err
		})
		return err
	})
	return out, err
}
