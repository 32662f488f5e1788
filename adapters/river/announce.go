package river

import (
	_ "embed"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	riverqueue "github.com/riverqueue/river"

	"github.com/tasker-go/tasker/core/domain/deadletter"
)

// ControlQueue holds the jobs that are the server's own. The queue of a step has
// a - in its name, so none is called so.
const ControlQueue = "control"

// argsVersion is the form of arguments that this server writes, and the newest
// that it reads.
const argsVersion = 1

// Priorities in the control queue, as River counts them: a flood of
// announcements must hold up neither a resume nor the sweeps.
const (
	urgent  = 1
	patient = 2
)

// AnnounceArgs are the arguments of the job that announces a dead letter.
type AnnounceArgs struct {
	Version int                `json:"v"`
	Entry   deadletter.EntryID `json:"entry_uuid"`
}

// Kind implements River's JobArgs.
func (AnnounceArgs) Kind() string { return "dead_letter_announce" }

// InsertOpts implements River's JobArgsWithInsertOpts. With the waits between
// them, the attempts last for a day and a half.
func (AnnounceArgs) InsertOpts() riverqueue.InsertOpts {
	return riverqueue.InsertOpts{Queue: ControlQueue, Priority: patient, MaxAttempts: 45}
}

// ResumeArgs are the arguments of the job that carries on a bulk resume.
type ResumeArgs struct {
	Version int       `json:"v"`
	Resume  uuid.UUID `json:"resume_id"`
}

// Kind implements River's JobArgs.
func (ResumeArgs) Kind() string { return "dead_letter_resume" }

// InsertOpts implements River's JobArgsWithInsertOpts. With the waits between
// them, the attempts last for the better part of a day.
func (ResumeArgs) InsertOpts() riverqueue.InsertOpts {
	return riverqueue.InsertOpts{Queue: ControlQueue, Priority: urgent, MaxAttempts: 25}
}

//go:embed announce.sql
var sqlInsertControl string

// QueueAnnouncements queues the one statement that inserts the jobs which
// announce dead letters; they start when the transaction has committed.
func QueueAnnouncements(b *pgx.Batch, ids []deadletter.EntryID) {
	o := AnnounceArgs{}.InsertOpts()
	b.Queue(sqlInsertControl, argsVersion, "entry_uuid", AnnounceArgs{}.Kind(), o.MaxAttempts, o.Priority, ids, time.Now().UTC())
}

// QueueResume queues the one statement that inserts the job which carries out a
// bulk resume; it starts when the transaction has committed.
func QueueResume(b *pgx.Batch, id uuid.UUID) {
	o := ResumeArgs{}.InsertOpts()
	b.Queue(sqlInsertControl, argsVersion, "resume_id", ResumeArgs{}.Kind(), o.MaxAttempts, o.Priority, []uuid.UUID{id}, time.Now().UTC())
}
