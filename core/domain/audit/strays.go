package audit

import "fmt"

// ExamineStrays says what is wrong with the database as a whole.
func ExamineStrays(s *Strays) []Violation {
	var found []Violation
	wrong := func(rule Rule, subject, detail string, args ...any) {
		found = append(found, Violation{rule, subject, fmt.Sprintf(detail, args...)})
	}
	for _, i := range s.Identities {
		wrong(RuleIdentity, "task "+i.Task.String(), "it does not exist, and the identity %s names it", i.Hash)
	}
	for _, c := range s.Counts {
		wrong(RuleCounts, fmt.Sprintf("template %d", c.Template), "%d of its %ss are counted as %s, and there are %d",
			c.Counted, c.Kind, c.State, c.Real)
	}
	for _, r := range s.Rows {
		wrong(RuleOwnerless, "task "+r.Task.String(), "it does not exist, and %d rows of %s are its", r.Rows, r.Table)
	}
	for _, j := range s.Jobs {
		subject := fmt.Sprintf("job %d", j.ID)
		if j.TaskUnknown {
			wrong(RuleStrayJob, subject, "it waits in %s for a task that does not exist: %s", j.Queue, j.Args)
		} else {
			wrong(RuleStrayJob, subject, "it is %s in %s, where nobody takes it: %s", j.State, j.Queue, j.Args)
		}
	}
	return found
}
