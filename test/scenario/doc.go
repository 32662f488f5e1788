// Package scenario holds the life of tasks as readable files: what a template
// says, how its handlers end, what people do, and what is to come of it. Every
// file of testdata runs on the core in memory and on the real server alike,
// through the REST API.
//
// A file has sections, each begun by a line "-- name --". Those whose name ends
// in .yaml are templates, in the namespace that is called as the file is; those
// that begin with upload- are only there to be uploaded. The others are:
//
// outcomes: how handlers end, one run a line, in the order of the runs of a step
// in one task; the last one goes for all runs after it, and a step that is not
// named ends well. A line is "step: outcome", or "template/step: outcome", and
// an outcome is a list of things that a handler does, with semicolons between:
//
//	ok [JSON]                  it returns the value, or null
//	fail "message" [type=T] [status=N] [permanent=true] [after=2h | header="…"]
//	panic "message"
//	echo inputs|checkpoint|attempt|context   it returns what it was given
//	checkpoint CURSOR ITEMS    it saves how far it has come
//	hold                       it waits to be released, or for its context to end
//
// Templates call the handler script, which the server has, or elsewhere, which
// it has not: see start-server.
//
// script: what is done and what is expected, one command a line; lines that are
// indented belong to the one before. A task is called by the name that it is
// created under, a step of it by task.step. Words with spaces go in quotes, JSON
// as it is. "! code command …" expects the command to be refused with the code
// of a fault. What is expected is waited for; "*" stands for any text.
//
//	create TASK [template=T] [context=JSON] [key=K] [on_duplicate=return] [start=2h] [deadline=3h] [priority=N] [delay=2h]
//	same TASK TASK             both names mean one task
//	task TASK state            steps TASK step=state …        step TASK.STEP state [attempts=N]
//	waits TASK.STEP 2h         it waits for its next attempt this long; 90m..2h for a range; each wait is expected once
//	runs TASK.STEP N           its handler has been called so often
//	running TASK.STEP          its handler holds              release TASK.STEP
//	stopped TASK.STEP "cause"  the context of the handler that held has ended
//	result TASK.STEP JSON      failed TASK.STEP type ["message"]
//	history TASK|TASK.STEP     the lines that follow are all its moves: from -> to [via states] [attempt=N] [by=WHO] [why="…"]
//	audit TASK.STEP            likewise, the moves of the API's audit, the newest first
//	letter TASK reason status [ordinal=N] [failures=N] [from=state] [by=WHO]      no-letter TASK
//	explain TASK|TASK.STEP code ["sentence"] [unblock="…"] [also=code]
//	cancel|give-up|retry|resolve|purge TASK        file TASK  (makes it a dead letter)
//	reset TASK.STEP [inputs=JSON]     resolve TASK.STEP     complete TASK.STEP JSON
//	pause|resume TASK | template NAME | namespace           paused KIND [by=WHO] [why="…"]
//	disable|enable TEMPLATE    upload SECTION [revise=true]
//	close-letter TASK status   resume-letter TASK reset|skip|resolve [steps=JSON]
//	resume-letters reset|skip|resolve matched=N [reason=R] [template=T] [dry_run=true]
//	advance 2h                 the clock of the database moves, and what is due wakes up
//	sweep                      the search for tasks that stand still
//	start-server               one more server, which has the handler elsewhere
//	kill-server                its connections are cut
//	freeze-server TASK.STEP    it gives no sign of life until it has lost the step
//	thaw-server                and gives one again
//
// Actions take by=WHO, "operator" when not given, and why="…".
package scenario
