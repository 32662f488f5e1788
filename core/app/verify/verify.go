// Package verify looks through a whole database, while servers are at work on
// it, for what cannot be.
package verify

import (
	"context"
	"fmt"

	"github.com/tasker-go/tasker/core/domain/audit"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/ports"
)

// Report says how much was looked at, and how much of it is wrong.
type Report struct {
	Tasks, Steps int
	Violations   int
}

// A reading goes over all jobs that wait, for they cannot be found by their
// task: when there are many, it takes more tasks at once, so that the whole
// takes at most readings as often as that.
const (
	fewTasks  = 1000
	manyTasks = 20000
	readings  = 50
)

// Run examines every task that exists when it begins, then the database as a
// whole, and tells each violation as it is found. The error says that it could
// not look; tell is called in this goroutine.
func Run(ctx context.Context, db ports.AuditReader, limits audit.Limits, tell func(audit.Violation)) (Report, error) {
	var r Report
	all := func(found []audit.Violation) {
		for _, v := range found {
			r.Violations++
			tell(v)
		}
	}
	extent, err := db.Extent(ctx)
	if err != nil {
		return r, fmt.Errorf("look how much there is: %w", err)
	}
	size := int(min(manyTasks, max(fewTasks, extent.Jobs/readings)))
	for after := (ident.TaskID{}); ; {
		cases, now, err := db.Cases(ctx, after, extent.Last, size)
		if err != nil {
			return r, fmt.Errorf("read tasks after %s: %w", after, err)
		}
		if len(cases) == 0 {
			break
		}
		for i := range cases {
			r.Tasks++
			r.Steps += len(cases[i].Steps)
			all(audit.Examine(&cases[i], now, limits))
		}
		after = cases[len(cases)-1].Task.ID
	}
	strays, err := db.Strays(ctx)
	if err != nil {
		return r, fmt.Errorf("read the database as a whole: %w", err)
	}
	all(audit.ExamineStrays(&strays))
	return r, nil
}
