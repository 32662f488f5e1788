package postgres

// HotSettings are the settings of hot connections, for tests of plans.
var HotSettings = hotSettings

// HotStatements are the hot statements by name, with the types of their
// parameters, for tests of plans.
var HotStatements = map[string]string{
	"lock_tasks": sqlLockTasks, "lock_all_steps": sqlLockAllSteps, "read_neighbourhood": sqlReadNeighbourhood,
	"write_steps": sqlWriteSteps, "write_tasks": sqlWriteTasks, "held_identities": sqlHeldIdentities,
	"probe_tasks": sqlProbeTasks, "due": sqlDue, "leases_of": sqlLeasesOf,
}
