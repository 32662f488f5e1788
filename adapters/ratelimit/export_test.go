package ratelimit

// Remembered returns how many principals and addresses are remembered.
func (l *Limits) Remembered() (calls, failures int) { return l.calls.len(), l.failures.len() }
