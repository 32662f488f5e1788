package app_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/ports"
)

func TestASummaryHasTemplateFailureAndLetter(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	of := k.flow(t, "flow", nil, "a", "b")
	id := k.begin(t, of)
	s, err := k.GetTaskSummary(t.Context(), id)
	require.NoError(t, err)
	require.Nil(t, s.Letter)
	require.Len(t, s.Template.Steps, 2)
	require.Nil(t, s.Task.Steps[0].LastFailure())

	require.Equal(t, 1, k.work(t, 1, "a", func(r *step.Result) {
		r.Failure = &step.Failure{Message: "no", Type: "Declined", StatusCode: 402}
	}))
	require.Equal(t, 1, k.work(t, 1, "b", func(*step.Result) {}))
	s, err = k.GetTaskSummary(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, deadletter.Pending, s.Letter.Status)
	f := s.Task.Steps[0].LastFailure()
	require.Equal(t, "Declined", f.Type)
	require.Equal(t, 402, f.StatusCode)
	require.False(t, f.Retryable)
	require.Nil(t, s.Task.Steps[1].LastFailure())

	_, err = k.GetTaskSummary(t.Context(), ident.TaskID{1})
	code(t, fault.CodeTaskNotFound, err)
}

// A step that is done is no failure, however often it was tried.
func TestADoneStepHasNoLastFailure(t *testing.T) {
	t.Parallel()
	s := app.Step{StepRecord: ports.StepRecord{State: step.Complete, Failure: []byte(`{"message":"no"}`)}}
	require.Nil(t, s.LastFailure())
	s.StepRecord.State = step.WaitingForRetry
	require.Equal(t, "no", s.LastFailure().Message)
}

// stored has one context.
type stored ports.TaskContext

func (s stored) TaskContext(context.Context, ident.TaskID, int64) (ports.TaskContext, error) {
	return ports.TaskContext(s), nil
}

func TestAContextShowsWhatThereIsRoomFor(t *testing.T) {
	t.Parallel()
	large := json.RawMessage(`"` + strings.Repeat("x", 400<<10) + `"`)
	a := app.New(app.Parts{Contexts: stored{Namespace: "orders", Inputs: json.RawMessage(`{"a":1,"n":2}`), Outputs: []ports.StepOutput{
		{Name: "a", Value: json.RawMessage(`[3]`)}, {Name: "b", Value: large}, {Name: "c", Value: large}, {Name: "d", Value: json.RawMessage(`4`)}, {Name: "e"},
	}}})
	c, err := a.GetTaskContext(t.Context(), ident.TaskID{1})
	require.NoError(t, err)
	require.Equal(t, map[string]json.RawMessage{"a": json.RawMessage(`[3]`), "b": large}, c.Outputs)
	require.Equal(t, []string{"c", "d", "e"}, c.Omitted)
	merged, err := c.Merged()
	require.NoError(t, err)
	require.Equal(t, map[string]json.RawMessage{"a": json.RawMessage(`[3]`), "b": large, "n": json.RawMessage(`2`)}, merged)

	others := app.WithPrincipal(t.Context(), access.Principal{All: true, Namespaces: []string{"payments"}})
	_, err = a.GetTaskContext(others, ident.TaskID{1})
	code(t, fault.CodeTaskNotFound, err)
}
