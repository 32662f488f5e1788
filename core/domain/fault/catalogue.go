package fault

import "sort"

// Code is a stable, machine-readable reason. Codes are part of the contract of
// both doors: never renamed, only added.
type Code string

// The codes. Those in capitals in the original's REST contract are derived from
// the kind at that door; these say more.
const (
	CodeInternal            Code = "internal"
	CodeMalformed           Code = "malformed_body"        // not JSON, not UTF-8, wrong type
	CodeInvalidField        Code = "invalid_field"         // a field breaks its rule
	CodeInvalidUUID         Code = "invalid_uuid"          // text that is not a UUID
	CodeInvalidInput        Code = "input_schema_mismatch" // context against the template's input_schema
	CodeInvalidTemplate     Code = "invalid_template"      // a template breaks a rule
	CodeInvalidCursor       Code = "invalid_cursor"        // a cursor that this server did not make
	CodeInvalidState        Code = "invalid_state"         // no such state name
	CodePayloadTooLarge     Code = "payload_too_large"     // over the size limit
	CodeUnsupportedMedia    Code = "unsupported_media_type"
	CodeTaskNotFound        Code = "task_not_found"
	CodeStepNotFound        Code = "step_not_found"
	CodeStepElsewhere       Code = "step_of_another_task"
	CodeTemplateNotFound    Code = "template_not_found"
	CodeRouteNotFound       Code = "route_not_found"
	CodeMethodNotAllowed    Code = "method_not_allowed"
	CodeTaskExists          Code = "task_exists"       // same identity; Meta has task_uuid
	CodeTemplateChanged     Code = "template_changed"  // other content under a used version
	CodeTemplateDisabled    Code = "template_disabled" // an operator wants no more tasks of the version
	CodeTaskFinished        Code = "task_finished"     // the task is in a terminal state
	CodeTaskNotFinished     Code = "task_not_finished" // the task is not in a terminal state
	CodeTaskNotBlocked      Code = "task_not_blocked"  // the task is not blocked by failures
	CodeTaskNotStarted      Code = "task_not_started"  // the task waits for its time to start
	CodeNoFailedSteps       Code = "no_failed_steps"   // there is nothing to retry
	CodeDeadLetterNotFound  Code = "dead_letter_not_found"
	CodeDeadLetterClosed    Code = "dead_letter_closed"     // it is not open any more
	CodeDeadLetterOpen      Code = "dead_letter_open"       // the task has an open one already
	CodeDeadLetterOld       Code = "dead_letter_superseded" // the task has a newer one
	CodeResumeNotFound      Code = "resume_not_found"
	CodeOperationNotFound   Code = "operation_not_found" // no such bulk operation
	CodeKeyNotFound         Code = "key_not_found"
	CodeKeyExists           Code = "key_exists"           // a key that is not revoked has the name
	CodeKeyEnded            Code = "key_ended"            // the key is revoked or expired
	CodeIllegalTransition   Code = "illegal_transition"   // the state machine has no such move
	CodeStaleResult         Code = "stale_result"         // not the live dispatch of the step
	CodeUnauthenticated     Code = "unauthenticated"      // no or bad credentials
	CodePermissionDenied    Code = "permission_denied"    // a permission is missing
	CodeMailboxFull         Code = "mailbox_full"         // an actor's mailbox is full
	CodeDatabaseDown        Code = "database_unavailable" // the database cannot be reached
	CodeBreakerOpen         Code = "circuit_breaker_open" // too many failures of the database just now
	CodeContended           Code = "contended"            // somebody else holds what it needs
	CodeShuttingDown        Code = "shutting_down"        // the server is draining
	CodeNotReady            Code = "not_ready"            // a part of the server is out of order
	CodeRateLimited         Code = "rate_limited"
	CodeDeadlineExceeded    Code = "deadline_exceeded"
	CodeClientClosed        Code = "client_closed_request"
	CodeExpansionTooLarge   Code = "too_many_steps"          // over ident.MaxSteps or a configured limit
	CodeTemplateNotRunnable Code = "template_not_runnable"   // it needs what this version cannot do
	CodeMissingIdempotency  Code = "missing_idempotency_key" // strategy caller_provided without a key
)

var kinds = map[Code]Kind{
	CodeInternal: Internal, CodeMalformed: Invalid, CodeInvalidField: Invalid, CodeInvalidUUID: Invalid,
	CodeInvalidInput: Invalid, CodeInvalidTemplate: Invalid, CodeInvalidCursor: Invalid, CodeInvalidState: Invalid,
	CodePayloadTooLarge: TooLarge, CodeUnsupportedMedia: Invalid, CodeTaskNotFound: NotFound,
	CodeStepNotFound: NotFound, CodeStepElsewhere: NotFound, CodeTemplateNotFound: NotFound, CodeRouteNotFound: NotFound,
	CodeMethodNotAllowed: Invalid, CodeTaskExists: Conflict, CodeTemplateChanged: Conflict,
	CodeTemplateDisabled: Refused,
	CodeTaskNotFinished:  Refused, CodeTaskNotBlocked: Refused, CodeTaskNotStarted: Refused, CodeNoFailedSteps: Refused,
	CodeDeadLetterNotFound: NotFound, CodeDeadLetterClosed: Refused, CodeDeadLetterOpen: Conflict,
	CodeDeadLetterOld: Refused, CodeResumeNotFound: NotFound, CodeOperationNotFound: NotFound,
	CodeKeyNotFound: NotFound, CodeKeyExists: Conflict, CodeKeyEnded: Refused,
	CodeTaskFinished: Refused, CodeIllegalTransition: Refused, CodeStaleResult: Refused,
	CodeUnauthenticated: Unauthenticated, CodePermissionDenied: PermissionDenied, CodeMailboxFull: Unavailable,
	CodeDatabaseDown: Unavailable, CodeBreakerOpen: Unavailable, CodeContended: Unavailable, CodeShuttingDown: Unavailable, CodeNotReady: Unavailable,
	CodeRateLimited: RateLimited, CodeDeadlineExceeded: Timeout, CodeClientClosed: Timeout,
	CodeExpansionTooLarge: Invalid, CodeTemplateNotRunnable: Invalid, CodeMissingIdempotency: Invalid,
}

// Kind returns the kind that faults with this code have.
func (c Code) Kind() Kind { return kinds[c] }

// Codes returns all codes in order, for documentation and tests.
func Codes() []Code {
	all := make([]Code, 0, len(kinds))
	for c := range kinds {
		all = append(all, c)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	return all
}
