package river

import "time"

// SQLClaim and SQLClaimShort are the forms of the claim, for tests of their plans.
var (
	SQLClaim      = sqlClaim
	SQLClaimShort = sqlClaimShort
)

// Encode names a queue.
var Encode = encode

// Waits is the retry policy of control jobs.
type Waits = waits

// NewWaits returns a retry policy.
func NewWaits(first, longest time.Duration) Waits { return waits{first, longest} }
