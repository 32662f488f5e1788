package checker

// histories checks what each step is now, and its history.
func (c *check) histories() {
	for _, m := range c.stepMoves {
		k := stepKey{m.Task, m.No}
		c.moves[k] = append(c.moves[k], m)
	}
	for k := range c.moves {
		if c.steps[k] == nil {
			c.wrong(RuleLeftover, k, "has a history and does not exist")
		}
	}
	for i := range c.stored.steps {
		s := &c.stored.steps[i]
		k := stepKey{s.Task, s.No}
		c.moves[k] = inOrder(c.moves[k])
		follow(c, k, stepLaw, c.moves[k], s.State)
		c.now(k, s)
		c.settled(k, s)
		c.dispatches(k, s)
	}
	for i := range c.stored.steps {
		c.parents(&c.stored.steps[i])
	}
}

func (c *check) now(k stepKey, s *stepRow) {
	if s.State != "complete" {
		c.wrong(RuleEnded, k, "is %s", s.State)
	}
	if s.Leased {
		c.wrong(RuleLeftover, k, "is %s and still leased", s.State)
	}
	if s.Waking {
		c.wrong(RuleLeftover, k, "is %s and still has a timer", s.State)
	}
}

// settled checks that one row settles the step, and how many attempts it took.
func (c *check) settled(k stepKey, s *stepRow) {
	settled, failures := 0, 0
	for _, m := range c.moves[k] {
		switch {
		case m.To == "complete":
			settled++
			c.done[k] = m.At
		case m.To == "waiting_for_retry":
			failures++
			c.report.Retries++
		case m.From == "in_progress" && m.To == "enqueued":
			c.report.Released = append(c.report.Released, m.At)
		}
		if m.Attempt > c.e.MaxAttempts {
			c.wrong(RuleAttempts, k, "history has attempt %d, want at most %d", m.Attempt, c.e.MaxAttempts)
		}
	}
	if settled != 1 {
		c.wrong(RuleOnce, k, "its history has %d rows into complete, want 1", settled)
	}
	if s.Attempts > c.e.MaxAttempts || s.MaxAttempts != c.e.MaxAttempts {
		c.wrong(RuleAttempts, k, "it has %d of %d attempts, want at most %d", s.Attempts, s.MaxAttempts, c.e.MaxAttempts)
	}
	if s.State == "complete" && s.Attempts != failures+1 {
		c.wrong(RuleAttempts, k, "it took %d attempts, and history has %d failures", s.Attempts, failures)
	}
}

// dispatches checks that the number which fences goes up when, and only when,
// the step is enqueued.
func (c *check) dispatches(k stepKey, s *stepRow) {
	live := 0
	for i, m := range c.moves[k] {
		want := live
		if m.To == "enqueued" {
			want++
		}
		if m.Dispatch != want {
			c.wrong(RuleDispatch, k, "row %d, into %s, has dispatch %d, want %d", i+1, m.To, m.Dispatch, want)
		}
		live = m.Dispatch
	}
	if live != s.Dispatch {
		c.wrong(RuleDispatch, k, "its dispatch is %d, and history ends with %d", s.Dispatch, live)
	}
}

// parents checks that the step was claimed after all its parents were complete.
func (c *check) parents(s *stepRow) {
	k := stepKey{s.Task, s.No}
	open := 0
	for _, no := range s.Parents {
		p := stepKey{s.Task, no}
		parent := c.steps[p]
		if parent == nil {
			c.wrong(RuleLeftover, k, "its parent %d does not exist", no)
			continue
		}
		if parent.State != "complete" {
			open++
		}
		done, ever := c.done[p]
		for _, m := range c.moves[k] {
			if m.To != "in_progress" && m.To != "enqueued" {
				continue
			}
			if !ever || m.At.Before(done) {
				c.wrong(RuleEarly, k, "it became %s before its parent %s was complete", m.To, parent.Name)
				break
			}
		}
	}
	if s.OpenParent != open {
		c.wrong(RuleCounters, k, "it waits for %d parents, and %d are open", s.OpenParent, open)
	}
}

// numbers checks counters and counts against the rows that they count.
func (c *check) numbers() {
	type numbers struct{ total, open, active, retrying, failed int }
	found := map[string]numbers{}
	type countKey struct {
		template    int64
		kind, state string
	}
	counts := map[countKey]int64{}
	templates := map[string]int64{}
	for _, t := range c.stored.tasks {
		templates[t.ID] = t.Template
		counts[countKey{t.Template, "task", t.State}]++
	}
	for _, s := range c.stored.steps {
		template, owned := templates[s.Task]
		if !owned {
			c.wrong(RuleLeftover, stepKey{s.Task, s.No}, "its task does not exist")
			continue
		}
		counts[countKey{template, "step", s.State}]++
		n := found[s.Task]
		n.total++
		switch s.State {
		case "complete", "resolved_manually", "cancelled":
		default:
			n.open++
		}
		switch s.State {
		case "enqueued", "in_progress":
			n.active++
		case "waiting_for_retry":
			n.retrying++
		case "error":
			n.failed++
		}
		found[s.Task] = n
	}
	for _, t := range c.stored.tasks {
		if got := (numbers{t.Total, t.Open, t.Active, t.Retrying, t.Failed}); got != found[t.ID] {
			c.wrong(RuleCounters, "task "+t.ID, "its counters are %+v, and its steps say %+v", got, found[t.ID])
		}
	}
	for _, n := range c.counts {
		k := countKey{n.Template, n.Kind, n.State}
		if n.N != counts[k] {
			c.wrong(RuleCounts, "template "+itoa(n.Template), "%d %ss counted as %s, and there are %d", n.N, n.Kind, n.State, counts[k])
		}
		delete(counts, k)
	}
	for k, n := range counts {
		c.wrong(RuleCounts, "template "+itoa(k.template), "no %s counted as %s, and there are %d", k.kind, k.state, n)
	}
	for _, what := range c.leftovers {
		c.wrong(RuleLeftover, "database", "%s", what)
	}
}
