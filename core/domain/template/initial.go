package template

// Initial returns the numbers of the steps that exist when a task is created,
// ascending. Left out are steps below a decision, which its result may create;
// batch workers, which are patterns for copies; deferred convergences, which
// come with a parent of theirs; and all that waits for one of those: such a
// step would start before what it waits for exists.
func (t *Template) Initial() []int32 {
	later := t.below(func(s *Step) bool {
		return s.Type == Decision || s.Type == BatchWorker || s.Type == DeferredConvergence
	})
	var initial []int32
	for i := range t.Steps {
		no := int32(i + 1)
		switch t.Steps[i].Type {
		case BatchWorker, DeferredConvergence:
		case Standard, Decision, Batchable:
			if !later[no] {
				initial = append(initial, no)
			}
		}
	}
	return initial
}

// below marks, by number, every step with an ancestor that is one of those.
func (t *Template) below(those func(*Step) bool) []bool {
	marked := make([]bool, len(t.Steps)+1)
	for _, no := range t.graph.Order() {
		for _, parent := range t.graph.Parents(no) {
			if marked[parent] || those(t.Step(parent)) {
				marked[no] = true
				break
			}
		}
	}
	return marked
}
