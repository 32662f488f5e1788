package ports

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/domain/audit"
	"github.com/tasker-go/tasker/core/domain/ident"
)

// AuditExtent is how much there is to read.
type AuditExtent struct {
	Last ident.TaskID // the newest task; zero when there is none
	Jobs int64        // that wait for a worker, or are set aside
}

// AuditReader reads the whole database while others write to it. It changes
// nothing, and holds no lock that anybody waits for.
type AuditReader interface {
	// Extent returns how much there is now.
	Extent(ctx context.Context) (AuditExtent, error)
	// Cases returns the tasks after one, up to and including last, in the order of
	// their ids, at most limit of them and fewer when they are large; none at the
	// end. They and the time are those of one moment.
	Cases(ctx context.Context, after, last ident.TaskID, limit int) ([]audit.Case, time.Time, error)
	// Strays returns what is wrong with the database as a whole. What a question
	// compares is of one moment.
	Strays(ctx context.Context) (audit.Strays, error)
}
