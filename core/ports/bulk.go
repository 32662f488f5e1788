package ports

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/ident"
)

// BulkState says how a bulk operation stands.
type BulkState string

// The states; the last two are final.
const (
	BulkRunning   BulkState = "running"
	BulkComplete  BulkState = "complete"
	BulkCancelled BulkState = "cancelled"
)

// BulkOperation does the same to many tasks, as far as it has come.
type BulkOperation struct {
	ID         uuid.UUID
	Action     string          // cancel or retry
	Request    json.RawMessage // what was asked for
	By, Reason string
	Within     []string // namespaces that it keeps to; nil for all
	State      BulkState
	Matched    int          // tasks that the filter selected when it began
	AtLeast    bool         // they were Matched or more
	Done       int          // tasks to which it was done
	Refused    int          // tasks to which it could not be done any more
	After      ident.TaskID // tasks up to here are behind
	Message    string       // for people: why some were refused, who cancelled it
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// BulkOperations keeps bulk operations.
type BulkOperations interface {
	// BeginBulk stores an operation, together with the job that carries it out. It
	// is created now, whatever b says.
	BeginBulk(ctx context.Context, b BulkOperation) error
	// Bulk returns one, or a fault operation_not_found.
	Bulk(ctx context.Context, id uuid.UUID) (BulkOperation, error)
	// ListBulk returns the newest ones that keep to the namespaces; nil for all.
	ListBulk(ctx context.Context, within []string, limit int) ([]BulkOperation, error)
	// SaveBulk stores how far one has come, unless it is in a final state already:
	// then saved is false.
	SaveBulk(ctx context.Context, b BulkOperation) (saved bool, err error)
}
