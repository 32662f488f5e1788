package verify_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app/verify"
	"github.com/tasker-go/tasker/core/domain/audit"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shelf is tasks that wait for their time, by number from 1.
type shelf struct {
	tasks  uint64
	jobs   int64
	late   uint64 // the number of one that is overdue; 0 for none
	strays audit.Strays
	broken uint64 // pages after this number cannot be read; 0 for none
	limits []int  // asked for
}

func number(n uint64) (id ident.TaskID) {
	binary.BigEndian.PutUint64(id[:], n)
	return id
}

var errAway = errors.New("away")

func (s *shelf) Extent(context.Context) (ports.AuditExtent, error) {
	return ports.AuditExtent{Last: number(s.tasks), Jobs: s.jobs}, nil
}

func (s *shelf) Cases(_ context.Context, after, last ident.TaskID, limit int) ([]audit.Case, time.Time, error) {
	s.limits = append(s.limits, limit)
	from, until := binary.BigEndian.Uint64(after[:]), binary.BigEndian.Uint64(last[:])
	if s.broken > 0 && from >= s.broken {
		return nil, now, errAway
	}
	var cases []audit.Case
	for n := from + 1; n <= until && len(cases) < limit; n++ {
		c := audit.Case{
			Task: audit.Task{
				ID: number(n), TemplateKnown: true, State: task.Pending,
				Counters: task.Counters{Total: 1, Open: 1}, WakeAt: now.Add(time.Hour),
			},
			Steps: []audit.Step{{No: 1, State: step.Pending}},
		}
		if n == s.late {
			c.Task.WakeAt = now.Add(-time.Hour)
		}
		cases = append(cases, c)
	}
	return cases, now, nil
}

func (s *shelf) Strays(context.Context) (audit.Strays, error) { return s.strays, nil }

func run(t *testing.T, s *shelf) (verify.Report, []audit.Rule, error) {
	t.Helper()
	var rules []audit.Rule
	r, err := verify.Run(t.Context(), s, audit.DefaultLimits(), func(v audit.Violation) { rules = append(rules, v.Rule) })
	return r, rules, err
}

func TestRunSeesEveryTaskOnce(t *testing.T) {
	t.Parallel()
	for _, tasks := range []uint64{0, 1, 1000, 2500} {
		r, rules, err := run(t, &shelf{tasks: tasks})
		require.NoError(t, err)
		require.Empty(t, rules)
		require.Equal(t, verify.Report{Tasks: int(tasks), Steps: int(tasks)}, r)
	}
}

func TestRunTellsOfTasksThenOfTheWhole(t *testing.T) {
	t.Parallel()
	r, rules, err := run(t, &shelf{tasks: 1200, late: 1200, strays: audit.Strays{Counts: []audit.Count{{Kind: "task"}}}})
	require.NoError(t, err)
	require.Equal(t, []audit.Rule{audit.RuleOverdue, audit.RuleCounts}, rules)
	require.Equal(t, 2, r.Violations)
}

// The jobs are gone over for each page: the more there are, the larger the page.
func TestPagesGrowWithTheJobs(t *testing.T) {
	t.Parallel()
	for jobs, want := range map[int64]int{0: 1000, 50_000: 1000, 500_000: 10_000, 50_000_000: 20_000} {
		s := &shelf{jobs: jobs}
		_, _, err := run(t, s)
		require.NoError(t, err)
		require.Equal(t, want, s.limits[0])
	}
}

func TestRunThatCannotLook(t *testing.T) {
	t.Parallel()
	r, _, err := run(t, &shelf{tasks: 2500, broken: 1000})
	require.ErrorIs(t, err, errAway)
	require.Equal(t, 1000, r.Tasks)
}
