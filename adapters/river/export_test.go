package river

// SQLClaim is the claim, for tests of its plan.
var SQLClaim = sqlClaim

// Encode names a queue.
var Encode = encode
