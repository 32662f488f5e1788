package app

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// Bounds and defaults of what analytics ask for.
const (
	DefaultHours         = 24
	MaxHours             = 366 * 24
	DefaultBottlenecks   = 10
	MaxBottlenecks       = 1000
	DefaultMinExecutions = 5
	MaxMinExecutions     = 1_000_000
)

// bottleneckPeriod is how far back bottlenecks are looked for.
const bottleneckPeriod = 24 * time.Hour

// analyticsAge is how old figures may be: however many ask, they are computed
// once in that time.
const analyticsAge = 2 * time.Second

// Performance is how the tasks of a period have done.
type Performance struct {
	ports.Tally
	Active         int64   // tasks of any age that go on by themselves
	CompletionRate float64 // per cent of the period's tasks
	ErrorRate      float64 // per cent of the period's tasks
	TasksPerHour   int64
	StepsPerHour   int64
	HealthScore    float64 // of the tasks of the last hour that ended, the share that completed; 1 if none ended
}

// Bottlenecks is what is slow, how busy the system is, and what may help.
type Bottlenecks struct {
	ports.SlowReport
	PoolUse         float64          // share of open connections in use
	TaskStates      map[string]int64 // by state, of any age
	StepStates      map[string]int64
	Tasks, Steps    int64 // in any state
	Recommendations []string
}

// PerformanceMetrics computes figures of the tasks made in the last hours; 0 is
// for the last hour. They are at most two seconds old.
func (a *Application) PerformanceMetrics(ctx context.Context, hours int64) (Performance, error) {
	if err := checkRange("hours", hours, MaxHours); err != nil {
		return Performance{}, err
	}
	if err := ofEverything(ctx); err != nil {
		return Performance{}, err
	}
	hours = max(1, hours)
	return cached(ctx, &a.performance, hours, func(ctx context.Context) (Performance, error) {
		return a.measure(ctx, hours)
	})
}

// ofEverything refuses those who may see some namespaces only: figures are of
// all of them.
func ofEverything(ctx context.Context) error {
	if PrincipalOf(ctx).Scoped() {
		return fault.New(fault.CodePermissionDenied, "analytics are of all namespaces, and these credentials are for some")
	}
	return nil
}

func checkRange(field string, n, most int64) error {
	if n < 0 || n > most {
		return fault.In(field, fault.CodeInvalidField, "%s is %d, want 0 to %d", field, n, most)
	}
	return nil
}

func (a *Application) measure(ctx context.Context, hours int64) (Performance, error) {
	t, err := a.Analytics.Tally(ctx, time.Duration(hours)*time.Hour, true)
	if err != nil {
		return Performance{}, err
	}
	last := t
	if hours > 1 {
		if last, err = a.Analytics.Tally(ctx, time.Hour, false); err != nil {
			return Performance{}, err
		}
	}
	counts, err := a.Analytics.Counts(ctx)
	if err != nil {
		return Performance{}, err
	}
	p := Performance{Tally: t, HealthScore: 1}
	for _, c := range counts {
		if s, err := task.ParseState(c.State); c.Kind == "task" && err == nil && !s.Terminal() && s != task.BlockedByFailures {
			p.Active += c.Count
		}
	}
	if t.Tasks > 0 {
		p.CompletionRate = Rounded(100*float64(t.Completed)/float64(t.Tasks), 2)
		p.ErrorRate = Rounded(100*float64(t.Failed)/float64(t.Tasks), 2)
	}
	p.TasksPerHour = int64(math.Round(float64(t.Tasks) / float64(hours)))
	p.StepsPerHour = int64(math.Round(float64(t.Steps) / float64(hours)))
	if ended := last.Completed + last.Failed; ended > 0 {
		p.HealthScore = Rounded(float64(last.Completed)/float64(ended), 3)
	}
	return p, nil
}

// Rounded keeps so many decimals.
func Rounded(n float64, decimals int) float64 {
	scale := math.Pow10(decimals)
	return math.Round(n*scale) / scale
}

// Seconds3 is a duration in seconds, to three decimals.
func Seconds3(d time.Duration) float64 { return Rounded(d.Seconds(), 3) }

// BottleneckAnalysis finds what is slow among the tasks of the last 24 hours:
// at most limit steps and templates that ran minExecutions times or more. It is
// at most two seconds old.
func (a *Application) BottleneckAnalysis(ctx context.Context, limit, minExecutions int64) (Bottlenecks, error) {
	if err := checkRange("limit", limit, MaxBottlenecks); err != nil {
		return Bottlenecks{}, err
	}
	if err := checkRange("min_executions", minExecutions, MaxMinExecutions); err != nil {
		return Bottlenecks{}, err
	}
	if err := ofEverything(ctx); err != nil {
		return Bottlenecks{}, err
	}
	q := ports.Slowest{Period: bottleneckPeriod, Limit: int(limit), MinRuns: minExecutions}
	return cached(ctx, &a.bottlenecks, q, func(ctx context.Context) (Bottlenecks, error) { return a.findBottlenecks(ctx, q) })
}

func (a *Application) findBottlenecks(ctx context.Context, q ports.Slowest) (Bottlenecks, error) {
	slow, err := a.Analytics.Slowest(ctx, q)
	if err != nil {
		return Bottlenecks{}, err
	}
	counts, err := a.Analytics.Counts(ctx)
	if err != nil {
		return Bottlenecks{}, err
	}
	b := Bottlenecks{SlowReport: slow, TaskStates: map[string]int64{}, StepStates: map[string]int64{}, PoolUse: a.poolUse()}
	for _, c := range counts {
		if c.Kind == "task" {
			b.TaskStates[c.State] += c.Count
			b.Tasks += c.Count
		} else {
			b.StepStates[c.State] += c.Count
			b.Steps += c.Count
		}
	}
	b.Recommendations = recommend(&b)
	return b, nil
}

func (a *Application) poolUse() float64 {
	if a.Pools == nil {
		return 0
	}
	var active, open int
	for _, p := range a.Pools() {
		active += p.Active
		open += p.Open()
	}
	if open == 0 {
		return 0
	}
	return Rounded(float64(active)/float64(open), 4)
}

// From where a figure is worth a word.
const (
	muchFailure = 0.2
	longStep    = 30 * time.Second
)

func recommend(b *Bottlenecks) []string {
	said := []string{}
	var worst *ports.SlowStep
	for i := range b.SlowReport.Steps {
		if s := &b.SlowReport.Steps[i]; worst == nil || s.ErrorRate() > worst.ErrorRate() {
			worst = s
		}
	}
	if worst != nil && worst.ErrorRate() > muchFailure {
		said = append(said, fmt.Sprintf("%.0f %% of the runs of %s fail: look at its errors", 100*worst.ErrorRate(), place(worst)))
	}
	if b.PoolUse > muchUse {
		said = append(said, fmt.Sprintf("%.0f %% of the open database connections are in use: raise max_connections of the pool", 100*b.PoolUse))
	}
	if len(b.SlowReport.Steps) > 0 && b.SlowReport.Steps[0].Average > longStep {
		s := &b.SlowReport.Steps[0]
		said = append(said, fmt.Sprintf("%s takes %.0f s on average: make it faster, or split it", place(s), s.Average.Seconds()))
	}
	return said
}

func place(s *ports.SlowStep) string {
	return fmt.Sprintf("%s/%s@%s::%s", s.Template.Namespace, s.Template.Name, s.Template.Version, s.Step)
}
