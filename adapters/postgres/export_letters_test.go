package postgres

import (
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// LetterStatement is a statement about dead letters with arguments.
type LetterStatement struct {
	Begin string // of its transaction; empty: as on a hot connection
	SQL   string
	Args  []any
}

// LetterStatements are the statements that are asked for while there are many
// letters, for tests of plans.
func LetterStatements(f ports.LetterFilter, entries []deadletter.EntryID, id ident.TaskID, resume uuid.UUID) map[string]LetterStatement {
	none := time.Duration(0)
	return map[string]LetterStatement{
		"list":      {beginList, sqlLetters, append(letterSelection(f), int64(0), int64(50))},
		"one":       {beginList, sqlLetter, []any{entries[0]}},
		"of a task": {beginList, sqlLetterOfTask, []any{id}},
		"failures":  {beginList, sqlFailures, []any{entries[0], 50}},
		"next":      {beginList, sqlNextOpen, append(openSelection(f), entries[0], 256)},
		"count":     {beginList, sqlCountOpen, openSelection(f)},
		"outcome":   {beginList, sqlOutcome, []any{resume, none}},
		"mark":      {"", sqlMark, []any{resume, entries}},
		"unmark":    {"", sqlUnmark, []any{resume, entries}},
		"lock":      {"", sqlLockTaskOfLetter, []any{entries[0]}},
		"standing": {
			beginStanding, sqlStandingAny,
			[]any{none, names([]task.State{task.WaitingForRetry}), time.Minute, []ident.TemplateID(nil), []ident.TemplateID(nil), true, 500, []string(nil)},
		},
	}
}

// PutBack is the statement that ends what a pause has set aside.
const PutBack = sqlPutBack
