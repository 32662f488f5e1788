package ports

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
)

// IDs makes what only chance can make. It is safe for concurrent use.
type IDs interface {
	// Task returns a new id, larger than all that this process made before.
	Task() ident.TaskID
	// UUID returns a random UUID (version 4).
	UUID() uuid.UUID
	// Chance returns a number in [0,1).
	Chance() float64
}

// InputSchemas checks documents against JSON Schema.
type InputSchemas interface {
	// Compile returns what is wrong with a schema, or nil.
	Compile(schema []byte) error
	// Validate returns what is wrong with doc. The schema is remembered under
	// key, the content hash of its template.
	Validate(key [32]byte, schema, doc []byte) []fault.Detail
}

// News is what other servers say about a commit of theirs.
type News struct {
	Server  int32          // who says it
	Jobs    bool           // steps were enqueued
	Waiting bool           // steps wait for a time to come
	Moved   bool           // tasks changed their state, or steps that somebody follows
	Came    bool           // it has begun to listen
	Ended   []ident.TaskID // tasks that ended other than by their results: what runs of them is to stop
	Taken   []Dispatch     // dispatches that are not their worker's any more
	Keys    bool           // API keys were added, rotated or revoked
	// Lost is set when the line to the database was cut: anything may have
	// been missed.
	Lost bool
}

// Dispatch is one dispatch of a step.
type Dispatch struct {
	Ref ident.StepRef
	No  int32
}

// Newswire listens to other servers.
type Newswire interface {
	// Listen calls tell for each piece of news until ctx ends; it reconnects by
	// itself. News of this server's own commits is left out.
	Listen(ctx context.Context, tell func(News)) error
}

// Runner runs steps: the slots of one worker.
type Runner interface {
	// Run starts a claimed step and returns at once. It must call done exactly
	// once, when the slot is free again; report is for the result, and may come
	// before the slot is free.
	Run(ctx context.Context, s Assignment, report func(step.Result), done func())
}

// Assignment is a claimed step with all that a handler needs to know.
type Assignment struct {
	ClaimedStep
	Queue plan.Queue
	Task  TaskNames
	Init  json.RawMessage // handler.initialization of the template, or what an operator put in its place
	Limit int             // timeout_seconds; 0 for none
	Max   int32           // max_attempts
}

// TaskNames is how people call a task.
type TaskNames struct {
	Namespace, Name, Version string
}

// Lease tells who this server is to the database.
type Lease interface {
	// Instance returns the number under which this server holds leases.
	Instance() int32
}

// Admission refuses new work while something it needs is out of order.
type Admission interface {
	// Admit returns nil, or a fault that says why and for how long not.
	Admit(ctx context.Context) error
}
