package readiness_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/readiness"
	"github.com/tasker-go/tasker/core/domain/step"
)

func TestCriticalPath(t *testing.T) {
	t.Parallel()
	at := func(no int32, name string, s step.State, parents ...int32) readiness.StepFacts {
		return readiness.StepFacts{No: no, Name: name, State: s, Parents: parents}
	}
	for name, c := range map[string]struct {
		steps []readiness.StepFacts
		path  []readiness.Named
	}{
		"nothing left": {[]readiness.StepFacts{at(1, "a", step.Complete)}, nil},
		"the longer arm, without what is done": {
			[]readiness.StepFacts{
				at(1, "a", step.Complete), at(2, "b", step.Enqueued, 1), at(3, "c", step.Complete, 1),
				at(4, "d", step.Enqueued, 3), at(5, "e", step.Pending, 2), at(6, "f", step.Pending, 4, 5),
			},
			[]readiness.Named{{No: 2, Name: "b"}, {No: 5, Name: "e"}, {No: 6, Name: "f"}},
		},
		"the smaller numbers of two equal arms, in any order": {
			[]readiness.StepFacts{at(9, "z", step.Pending, 3, 2), at(3, "c", step.Error), at(2, "b", step.Error)},
			[]readiness.Named{{No: 2, Name: "b"}, {No: 9, Name: "z"}},
		},
		"two ends": {
			[]readiness.StepFacts{at(1, "a", step.Enqueued), at(3, "c", step.Pending, 1), at(2, "b", step.Pending, 1)},
			[]readiness.Named{{No: 1, Name: "a"}, {No: 2, Name: "b"}},
		},
		"what is cancelled is no more": {
			[]readiness.StepFacts{at(1, "a", step.Enqueued), at(2, "b", step.Cancelled, 1), at(3, "c", step.Pending, 2)},
			[]readiness.Named{{No: 1, Name: "a"}},
		},
		"a cycle does not hang it": {
			[]readiness.StepFacts{at(1, "a", step.Pending, 2), at(2, "b", step.Pending, 1)},
			[]readiness.Named{{No: 2, Name: "b"}, {No: 1, Name: "a"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.path, readiness.Explain(&readiness.Facts{Now: noon, Steps: c.steps}).CriticalPath)
		})
	}
}
