package river

import "time"

// SQLClaim is the claim, for tests of its plan.
var SQLClaim = sqlClaim

// Encode names a queue.
var Encode = encode

// Waits is the retry policy of control jobs.
type Waits = waits

// NewWaits returns a retry policy.
func NewWaits(first, longest time.Duration) Waits { return waits{first, longest} }
