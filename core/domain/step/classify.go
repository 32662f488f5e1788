package step

import (
	"math"
	"slices"
	"time"
	"unicode"
)

// Error types of the contract that a handler may give to a failure. They say
// what went wrong well enough to decide on another attempt; see Classify.
const (
	TypeExecutionTimeout    = "EXECUTION_TIMEOUT"
	TypeDatabaseConnection  = "DATABASE_CONNECTION_ERROR"
	TypeDatabaseLock        = "DATABASE_LOCK_ERROR"
	TypeDatabaseConstraint  = "DATABASE_CONSTRAINT_VIOLATION"
	TypeDatabaseGeneral     = "DATABASE_GENERAL_ERROR"
	TypeStateTransition     = "STATE_TRANSITION_ERROR" // judged by the words of its message
	TypeConfiguration       = "CONFIGURATION_ERROR"
	TypeValidation          = "VALIDATION_ERROR"
	TypeStepExecutionFailed = "STEP_EXECUTION_FAILED" // judged by its status code, then by the words of its message
	TypeRetryLimitExceeded  = "RETRY_LIMIT_EXCEEDED"
	TypeUnknown             = "UNKNOWN_ERROR"
)

// Category is the sort of trouble that a failure is.
type Category string

// The categories.
const (
	Timeout            Category = "timeout"
	Network            Category = "network"
	StateInconsistency Category = "state_inconsistency" // somebody else was there at the same time
	RateLimited        Category = "rate_limit"
	ResourceExhaustion Category = "resource_exhaustion"
	Configuration      Category = "configuration" // somebody has to set something right first
	Permanent          Category = "permanent"
	Transient          Category = "transient"
	Unknown            Category = "unknown"
)

// Categories returns all categories.
func Categories() []Category {
	return []Category{
		Timeout, Network, StateInconsistency, RateLimited, ResourceExhaustion, Configuration, Permanent, Transient, Unknown,
	}
}

// Class is what a failure amounts to.
type Class struct {
	Category  Category
	Retryable bool          // another attempt may help, if one is left
	Delay     time.Duration // the wait that this sort of trouble needs; 0 leaves it to the policy, and if not Retryable
	Code      string        // the contract's name of the error; the failure's own type if the contract has none
}

// verdict is one row of the classification.
type verdict struct {
	category Category
	final    bool                                // no other attempt will help
	delay    func(attempt float64) time.Duration // nil leaves it to the policy
	code     string                              // empty for the type of the failure
}

// byType judges failures by their error type. The waits that the contract calls
// exponential are left to the policy: its own default grows in the same way,
// and a template that says otherwise means it.
var byType = map[string]verdict{
	TypeExecutionTimeout:   {category: Timeout, delay: doubling(30 * time.Second)},
	TypeDatabaseConnection: {category: Network},
	TypeDatabaseLock:       {category: StateInconsistency},
	TypeDatabaseConstraint: {category: Permanent, final: true},
	TypeDatabaseGeneral:    {category: Transient},
	TypeConfiguration:      {category: Configuration, final: true},
	TypeValidation:         {category: Permanent, final: true},
	TypeRetryLimitExceeded: {category: Permanent, final: true},
	TypeUnknown:            {category: Unknown},
	"":                     {category: Unknown, code: TypeUnknown},

	// What the system says itself. Waits are the template's.
	TypeHandlerTimeout:    {category: Timeout, code: TypeExecutionTimeout},
	TypeHandlerPanic:      {category: Permanent, final: true, code: TypeStepExecutionFailed},
	TypeHandlerNotFound:   {category: Configuration, final: true, code: TypeConfiguration},
	TypeInvalidResult:     {category: Transient, code: TypeStepExecutionFailed}, // the server itself knows whether another may be better
	TypeWorkerUnavailable: {category: ResourceExhaustion, final: true},
}

// phrase judges a failure when a word of its message is among words.
type phrase struct {
	words   []string
	verdict verdict
}

// stateWords judge messages of the type STATE_TRANSITION_ERROR, in this order.
var stateWords = []phrase{
	{[]string{"concurrent", "concurrently", "concurrency", "lock", "locks", "locked"},
		verdict{category: StateInconsistency, delay: linear(500 * time.Millisecond)}},
	{nil, verdict{category: Permanent, final: true}},
}

// executionWords judge messages of the type STEP_EXECUTION_FAILED, in this order.
var executionWords = []phrase{
	{[]string{"timeout", "timeouts"}, outOfTime},
	{[]string{"network", "networks", "connection", "connections"}, unreachable},
	{[]string{"rate", "rates", "limit", "limits", "limited", "limiting"}, tooFast},
	{[]string{"resource", "resources", "memory", "disk", "disks"}, exhausted},
	{[]string{"permission", "permissions", "auth", "authentication", "authorization", "authorisation",
		"authenticated", "authorized", "authorised", "unauthenticated", "unauthorized", "unauthorised"}, forbidden},
	{nil, transient},
}

var (
	outOfTime   = verdict{category: Timeout, delay: constant(30 * time.Second)}
	unreachable = verdict{category: Network, delay: linear(5 * time.Second)}
	tooFast     = verdict{category: RateLimited, delay: constant(time.Minute)}
	exhausted   = verdict{category: ResourceExhaustion, delay: constant(30 * time.Second)}
	forbidden   = verdict{category: Configuration, final: true}
	transient   = verdict{category: Transient}
)

// byStatus judges by the status that an outside service answered with. It binds
// for STEP_EXECUTION_FAILED, where it says more than words do; of types that
// the contract does not know it only tells the category.
var byStatus = map[int]verdict{
	401: forbidden, 403: forbidden, 407: forbidden,
	408: outOfTime, 504: outOfTime,
	429: tooFast,
	502: unreachable, 503: unreachable,
	507: exhausted,
}

// Classify judges a failure after its attempt-th attempt, counted from 1. A
// failure that its worker calls not retryable is final whatever else it says. A
// type that nobody knows stays as retryable as the worker says, with the wait
// of the policy. How many attempts are left is for the policy alone.
func Classify(f Failure, attempt int32) Class {
	v := judge(f)
	c := Class{Category: v.category, Retryable: f.Retryable && !v.final, Code: v.code}
	if c.Code == "" {
		c.Code = f.Type
	}
	if !f.Retryable && !v.final {
		c.Category = Permanent
	}
	if c.Retryable && v.delay != nil {
		c.Delay = v.delay(float64(max(attempt, 1)))
	}
	return c
}

func judge(f Failure) verdict {
	switch f.Type {
	case TypeStateTransition:
		return firstOf(stateWords, f.Message)
	case TypeStepExecutionFailed:
		if v, ok := byStatus[f.StatusCode]; ok {
			return v
		}
		return firstOf(executionWords, f.Message)
	}
	if v, ok := byType[f.Type]; ok {
		return v
	}
	v := verdict{category: transient.category}
	if said, ok := byStatus[f.StatusCode]; ok {
		v.category = said.category
	}
	if f.Type == TypeHandlerError {
		v.code = TypeStepExecutionFailed
	}
	return v
}

// firstOf returns the verdict of the first phrase that the message has a word
// of; the last phrase has none and takes what is left. Whole words: "rate" is
// not in "operate", nor "auth" in "author".
func firstOf(phrases []phrase, message string) verdict {
	said := words(message)
	for _, p := range phrases {
		if p.words == nil || slices.ContainsFunc(p.words, func(w string) bool { return said[w] }) {
			return p.verdict
		}
	}
	return transient
}

// words returns the words of a text in lower case. A capital after a small
// letter begins a word, as in ConnectionRefused.
func words(text string) map[string]bool {
	all := map[string]bool{}
	var word []rune
	end := func() {
		if len(word) > 0 {
			all[string(word)] = true
		}
		word = word[:0]
	}
	small := false
	for _, r := range text {
		if !unicode.IsLetter(r) || small && unicode.IsUpper(r) {
			end()
		}
		if unicode.IsLetter(r) {
			word = append(word, unicode.ToLower(r))
		}
		small = unicode.IsLower(r)
	}
	end()
	return all
}

// longestClassDelay is the longest wait that a class asks for.
const longestClassDelay = 300 * time.Second

func constant(d time.Duration) func(float64) time.Duration {
	return func(float64) time.Duration { return d }
}

func linear(d time.Duration) func(float64) time.Duration {
	return func(attempt float64) time.Duration { return shortest(float64(d) * attempt) }
}

func doubling(d time.Duration) func(float64) time.Duration {
	return func(attempt float64) time.Duration { return shortest(float64(d) * math.Pow(2, attempt)) }
}

func shortest(d float64) time.Duration { return time.Duration(min(d, float64(longestClassDelay))) }
