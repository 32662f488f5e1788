package postgres

import _ "embed"

// The hot statements. Their comments say what they are for.
var (
	//go:embed sql/claim_identities.sql
	sqlClaimIdentities string
	//go:embed sql/held_identities.sql
	sqlHeldIdentities string
	//go:embed sql/probe_tasks.sql
	sqlProbeTasks string
	//go:embed sql/lock_tasks.sql
	sqlLockTasks string
	//go:embed sql/lock_all_steps.sql
	sqlLockAllSteps string
	//go:embed sql/read_neighbourhood.sql
	sqlReadNeighbourhood string
	//go:embed sql/write_steps.sql
	sqlWriteSteps string
	//go:embed sql/write_tasks.sql
	sqlWriteTasks string
	//go:embed sql/insert_tasks.sql
	sqlInsertTasks string
	//go:embed sql/insert_steps.sql
	sqlInsertSteps string
	//go:embed sql/record_tasks.sql
	sqlRecordTasks string
	//go:embed sql/record_steps.sql
	sqlRecordSteps string
	//go:embed sql/add_deltas.sql
	sqlAddDeltas string
	//go:embed sql/close_letters.sql
	sqlCloseLetters string
	//go:embed sql/open_letters.sql
	sqlOpenLetters string
	//go:embed sql/add_failures.sql
	sqlAddFailures string
)

const (
	sqlBegin  = "begin"
	sqlCommit = "commit"
	// The clock is read once the locks are held: a transaction that waited must
	// not decide by a time from before.
	sqlClock  = "select clock_timestamp() + $1::interval"
	sqlNotify = "select pg_notify('" + Channel + "', $1)"
)

// Channel is where servers tell each other of their commits.
const Channel = "tasker.wake"
