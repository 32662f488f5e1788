package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.Resumes = (*Store)(nil)

const (
	resumeColumns = `
  resume_id, request, by_whom, reason, state, matched, resumed, refused, failed_again, after_entry, message, created_at, updated_at`
	sqlBeginResume = `
insert into tasker.dlq_resumes (` + resumeColumns + `)
select $1, $2::text::jsonb, $3, $4, $5, $6, $7, $8, $9, $10, $11, now.at, now.at
from (select clock_timestamp() + $12::interval as at) now`
	sqlResume      = `select` + resumeColumns + ` from tasker.dlq_resumes where resume_id = $1`
	sqlListResumes = `select` + resumeColumns + ` from tasker.dlq_resumes order by created_at desc, resume_id desc limit $1`
	// Whoever cancels may have read before the last batch was counted: nothing
	// counts backwards.
	sqlSaveResume = `
update tasker.dlq_resumes
set state = $2, resumed = greatest(resumed, $3), refused = greatest(refused, $4), failed_again = greatest(failed_again, $5),
    after_entry = greatest(after_entry, $6), message = $7, updated_at = clock_timestamp() + $8::interval
where resume_id = $1 and state in ('canary', 'running')`
	sqlCountOpen = `
select count(*) from tasker.tasks_dlq d where d.resolution_status = any ($1) and` + lettersSelected
	sqlNextOpen = `
select d.dlq_entry_uuid, d.task_id, d.ordinal from tasker.tasks_dlq d
where d.resolution_status = any ($1) and d.dlq_entry_uuid > $9 and` + lettersSelected + `
order by d.dlq_entry_uuid
limit $10`
	sqlMark = `
update tasker.tasks_dlq d set resumed_in = $1
from unnest($2::uuid[]) as u(id)
where d.dlq_entry_uuid = u.id and d.resolution_status = 'pending'`
	sqlUnmark = `
update tasker.tasks_dlq d set resumed_in = null
from unnest($2::uuid[]) as u(id)
where d.dlq_entry_uuid = u.id and d.resumed_in = $1`
	sqlOutcome = `
select count(*), count(*) filter (where t.letters > d.ordinal),
       count(*) filter (where t.letters = d.ordinal and t.state not in ('complete', 'error', 'cancelled', 'resolved_manually')),
       clock_timestamp() + $2::interval
from tasker.tasks_dlq d
join tasker.tasks t on t.task_id = d.task_id
where d.resumed_in = $1 and d.resolution_status <> 'pending'`
)

// Begin implements ports.Resumes.
func (s *Store) Begin(ctx context.Context, r ports.BulkResume) error {
	return s.change(ctx, "begin a resume", func(tx pgx.Tx) error {
		var b pgx.Batch
		b.Queue(sqlBeginResume, r.ID, string(r.Request), r.By, r.Reason, string(r.State), r.Matched, r.Resumed, r.Refused, r.FailedAgain,
			entry(r.After), r.Message, s.offset.get())
		s.queue.QueueResume(&b, r.ID)
		return tx.SendBatch(ctx, &b).Close()
	})
}

// entry returns the id as an argument; nil for none.
func entry(id deadletter.EntryID) *deadletter.EntryID {
	if id.IsZero() {
		return nil
	}
	return &id
}

func resumeOf(row pgx.CollectableRow) (ports.BulkResume, error) {
	var (
		r                ports.BulkResume
		after            *deadletter.EntryID
		created, updated time.Time
	)
	err := row.Scan(&r.ID, &r.Request, &r.By, &r.Reason, (*string)(&r.State), &r.Matched, &r.Resumed, &r.Refused, &r.FailedAgain,
		&after, &r.Message, &created, &updated)
	if after != nil {
		r.After = *after
	}
	r.CreatedAt, r.UpdatedAt = created.UTC(), updated.UTC()
	return r, err
}

// Resume implements ports.Resumes.
func (s *Store) Resume(ctx context.Context, id uuid.UUID) (ports.BulkResume, error) {
	rows, err := s.reads.Query(ctx, sqlResume, id)
	if err != nil {
		return ports.BulkResume{}, translate(fmt.Errorf("read a resume: %w", err))
	}
	r, err := pgx.CollectExactlyOneRow(rows, resumeOf)
	if errors.Is(err, pgx.ErrNoRows) {
		return r, fault.New(fault.CodeResumeNotFound, "there is no bulk resume %s", id)
	}
	return r, translate(err)
}

// ListResumes implements ports.Resumes.
func (s *Store) ListResumes(ctx context.Context, limit int) ([]ports.BulkResume, error) {
	var out []ports.BulkResume
	err := s.listing(ctx, "resumes", sqlListResumes, []any{limit}, func(rows pgx.Rows) (err error) {
		out, err = pgx.CollectRows(rows, resumeOf)
		return err
	})
	return out, err
}

// Save implements ports.Resumes.
func (s *Store) Save(ctx context.Context, r ports.BulkResume) (bool, error) {
	tag, err := s.hot.Exec(ctx, sqlSaveResume, r.ID, string(r.State), r.Resumed, r.Refused, r.FailedAgain, entry(r.After), r.Message,
		s.offset.get())
	if err != nil {
		return false, translate(fmt.Errorf("save a resume: %w", err))
	}
	return tag.RowsAffected() == 1, nil
}

// openSelection returns the arguments of a filter, of open letters alone.
func openSelection(f ports.LetterFilter) []any {
	f.Status = deadletter.Pending
	return letterSelection(f)
}

// Count implements ports.Resumes.
func (s *Store) Count(ctx context.Context, f ports.LetterFilter) (int, error) {
	var n int
	err := s.listing(ctx, "the number of dead letters", sqlCountOpen, openSelection(f), func(rows pgx.Rows) (err error) {
		n, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
		return err
	})
	return n, err
}

// Next implements ports.Resumes.
func (s *Store) Next(ctx context.Context, f ports.LetterFilter, after deadletter.EntryID, limit int) ([]ports.LetterKey, error) {
	var out []ports.LetterKey
	err := s.listing(ctx, "dead letters to resume", sqlNextOpen, append(openSelection(f), after, limit), func(rows pgx.Rows) error {
		var k ports.LetterKey
		_, err := pgx.ForEachRow(rows, []any{&k.ID, &k.Task, &k.Ordinal}, func() error { out = append(out, k); return nil })
		return err
	})
	return out, err
}

// Mark implements ports.Resumes.
func (s *Store) Mark(ctx context.Context, id uuid.UUID, letters []deadletter.EntryID) error {
	return s.mark(ctx, sqlMark, id, letters)
}

// Unmark implements ports.Resumes.
func (s *Store) Unmark(ctx context.Context, id uuid.UUID, letters []deadletter.EntryID) error {
	return s.mark(ctx, sqlUnmark, id, letters)
}

func (s *Store) mark(ctx context.Context, sql string, id uuid.UUID, letters []deadletter.EntryID) error {
	if len(letters) == 0 {
		return nil
	}
	return s.change(ctx, "mark dead letters", func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, id, letters)
		return err
	})
}

// Outcome implements ports.Resumes.
func (s *Store) Outcome(ctx context.Context, id uuid.UUID) (ports.ResumeOutcome, error) {
	var o ports.ResumeOutcome
	err := s.reads.QueryRow(ctx, sqlOutcome, id, s.offset.get()).Scan(&o.Resumed, &o.FailedAgain, &o.UnderWay, &o.Now)
	if err != nil {
		return o, translate(fmt.Errorf("read what became of a resume: %w", err))
	}
	o.Now = o.Now.UTC()
	return o, nil
}
