package client

import (
	"context"
	"time"
)

// BatchMode says whether one task that cannot be created keeps the others from
// it.
type BatchMode string

// The modes.
const (
	Each         BatchMode = "each"
	AllOrNothing BatchMode = "all_or_nothing"
)

// Batch says what became of the tasks of a batch, in the order of the request.
type Batch struct {
	Items                      []BatchItem
	Created, Existing, Refused int
}

// BatchItem is what became of one.
type BatchItem struct {
	Status string    // created, existing or refused
	TaskID string    // of one that was refused since its identity exists: the task that has it
	State  TaskState // of one that was created
	Err    *Error    // why it was refused; nil else
}

// CreateTasks creates up to 1,000 tasks. It is made again after an unknown
// outcome when every task has an IdempotencyKey or StrictIdentity and OnDuplicate
// Return. Wait is not for batches.
func (c *Client) CreateTasks(ctx context.Context, all []NewTask, mode BatchMode) (Batch, error) {
	again := anyway
	for i := range all {
		if (all[i].IdempotencyKey == "" && !all[i].StrictIdentity) || all[i].OnDuplicate != Return {
			again = ifUntouched
		}
	}
	return do(ctx, c, again, func(ctx context.Context) (Batch, error) { return c.t.createTasks(ctx, all, mode) })
}

// Bulk is what is done to many tasks.
type Bulk struct {
	Filter TaskFilter
	DryRun bool    // count only
	Limit  int     // how many at most, the oldest first; 0 for all
	Rate   float64 // how many a second; 0 for as fast as it goes
	Said
}

// BulkOperation is what is done to many tasks, as far as it has come.
type BulkOperation struct {
	ID                string    `json:"operation_uuid"` // empty for a dry run
	Action            string    `json:"action"`
	State             string    `json:"state"` // running, complete or cancelled; empty for a dry run
	By                string    `json:"by"`
	Reason            string    `json:"reason"`
	Matched           int       `json:"matched"`
	MatchedIsEstimate bool      `json:"matched_is_estimate"`
	Done              int       `json:"done"`
	Refused           int       `json:"refused"`
	Message           string    `json:"message"`
	CreatedAt         time.Time `json:"created_at"`
	UpdatedAt         time.Time `json:"updated_at"`
}

// CancelTasks begins to cancel the tasks that a filter selects.
func (c *Client) CancelTasks(ctx context.Context, b Bulk) (BulkOperation, error) {
	return c.bulk(ctx, cancel, b)
}

// RetryTasks begins to retry the tasks that a filter selects.
func (c *Client) RetryTasks(ctx context.Context, b Bulk) (BulkOperation, error) {
	return c.bulk(ctx, retry, b)
}

func (c *Client) bulk(ctx context.Context, act taskAct, b Bulk) (BulkOperation, error) {
	return do(ctx, c, repeat(b.DryRun), func(ctx context.Context) (BulkOperation, error) { return c.t.doBulk(ctx, act, &b) })
}

// GetBulkOperation tells how far an operation on many tasks has come.
func (c *Client) GetBulkOperation(ctx context.Context, id string) (BulkOperation, error) {
	return do(ctx, c, anyway, func(ctx context.Context) (BulkOperation, error) { return c.t.getBulk(ctx, id) })
}

// CancelBulkOperation stops an operation; what it did stays done.
func (c *Client) CancelBulkOperation(ctx context.Context, id string, s Said) (BulkOperation, error) {
	return do(ctx, c, ifUntouched, func(ctx context.Context) (BulkOperation, error) { return c.t.cancelBulk(ctx, id, s) })
}
