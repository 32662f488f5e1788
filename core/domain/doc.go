// Package domain is the map of Tasker's rules. Nothing below it knows a clock,
// a database, a network or a log: facts come in as arguments, decisions go out
// as values.
//
//   - ident: what things are called.
//   - fault: how things go wrong, in words that both doors translate.
//   - jsondoc: which JSON documents are accepted.
//   - dag: the shape of a workflow.
//   - template: what a workflow is, and every rule about writing one.
//   - task, step: the two state machines.
//   - readiness: what a task is doing, derived from its steps.
//   - plan: what happens next.
package domain
