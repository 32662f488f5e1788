package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.BulkOperations = (*Store)(nil)

const (
	bulkColumns = `
  operation_id, action, request, by_whom, reason, within, state, matched, at_least, done, refused, after_task, message, created_at, updated_at`
	sqlBeginBulk = `
insert into tasker.bulk_operations (` + bulkColumns + `)
select $1, $2, $3::text::jsonb, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, now.at, now.at
from (select clock_timestamp() + $14::interval as at) now`
	sqlBulk     = `select` + bulkColumns + ` from tasker.bulk_operations where operation_id = $1`
	sqlListBulk = `
select` + bulkColumns + ` from tasker.bulk_operations
where $2::text[] is null or within <@ $2
order by created_at desc, operation_id desc limit $1`
	// Whoever cancels may have read before the last batch was counted: nothing
	// counts backwards.
	sqlSaveBulk = `
update tasker.bulk_operations
set state = $2, done = greatest(done, $3), refused = greatest(refused, $4), after_task = greatest(after_task, $5), message = $6,
    updated_at = clock_timestamp() + $7::interval
where operation_id = $1 and state = 'running'`
)

// BeginBulk implements ports.BulkOperations.
func (s *Store) BeginBulk(ctx context.Context, b ports.BulkOperation) error {
	return s.change(ctx, "begin a bulk operation", func(tx pgx.Tx) error {
		var batch pgx.Batch
		batch.Queue(sqlBeginBulk, b.ID, b.Action, string(b.Request), b.By, b.Reason, b.Within, string(b.State), b.Matched, b.AtLeast,
			b.Done, b.Refused, b.After, b.Message, s.offset.get())
		s.queue.QueueResume(&batch, b.ID)
		return tx.SendBatch(ctx, &batch).Close()
	})
}

func bulkOf(row pgx.CollectableRow) (ports.BulkOperation, error) {
	var b ports.BulkOperation
	err := row.Scan(&b.ID, &b.Action, &b.Request, &b.By, &b.Reason, &b.Within, (*string)(&b.State), &b.Matched, &b.AtLeast,
		&b.Done, &b.Refused, &b.After, &b.Message, &b.CreatedAt, &b.UpdatedAt)
	b.CreatedAt, b.UpdatedAt = b.CreatedAt.UTC(), b.UpdatedAt.UTC()
	return b, err
}

// Bulk implements ports.BulkOperations.
func (s *Store) Bulk(ctx context.Context, id uuid.UUID) (ports.BulkOperation, error) {
	rows, err := s.reads.Query(ctx, sqlBulk, id)
	if err != nil {
		return ports.BulkOperation{}, translate(fmt.Errorf("read a bulk operation: %w", err))
	}
	b, err := pgx.CollectExactlyOneRow(rows, bulkOf)
	if errors.Is(err, pgx.ErrNoRows) {
		return b, fault.New(fault.CodeOperationNotFound, "there is no bulk operation %s", id)
	}
	return b, translate(err)
}

// ListBulk implements ports.BulkOperations.
func (s *Store) ListBulk(ctx context.Context, within []string, limit int) ([]ports.BulkOperation, error) {
	var out []ports.BulkOperation
	err := s.listing(ctx, "bulk operations", sqlListBulk, []any{limit, within}, func(rows pgx.Rows) (err error) {
		out, err = pgx.CollectRows(rows, bulkOf)
		return err
	})
	return out, err
}

// SaveBulk implements ports.BulkOperations.
func (s *Store) SaveBulk(ctx context.Context, b ports.BulkOperation) (bool, error) {
	tag, err := s.hot.Exec(ctx, sqlSaveBulk, b.ID, string(b.State), b.Done, b.Refused, b.After, b.Message, s.offset.get())
	if err != nil {
		return false, translate(fmt.Errorf("save a bulk operation: %w", err))
	}
	return tag.RowsAffected() == 1, nil
}
