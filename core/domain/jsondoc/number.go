package jsondoc

import "github.com/tasker-go/tasker/core/domain/fault"

// What PostgreSQL's numeric, and so jsonb, can hold.
const (
	maxWhole    = 131_072 // digits before the point
	maxFraction = 16_383  // digits after the point
)

// number reads a number: JSON's grammar first, then the bounds, which only long
// numbers and those with an exponent can reach.
func (s *scanner) number() *fault.Error {
	if s.raw[s.at] == '-' {
		s.at++
	}
	whole := s.at
	s.digits()
	switch n := s.at - whole; {
	case n == 0:
		return s.malformed("want a digit")
	case n > 1 && s.raw[whole] == '0':
		return s.malformed("want no leading zero in a number")
	}
	wholeEnd, fraction := s.at, s.at
	if s.peek() == '.' {
		s.at++
		fraction = s.at
		if s.digits(); s.at == fraction {
			return s.malformed("want a digit after the point")
		}
	}
	fractionEnd, exponent := s.at, 0
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		sign := 1
		if c := s.peek(); c == '+' || c == '-' {
			if c == '-' {
				sign = -1
			}
			s.at++
		}
		start := s.at
		if s.digits(); s.at == start {
			return s.malformed("want a digit in the exponent")
		}
		for _, c := range s.raw[start:s.at] {
			if exponent = exponent*10 + int(c-'0'); exponent > 2*maxWhole {
				break // absurd either way, and must not overflow
			}
		}
		exponent *= sign
	}
	magnitude := s.magnitude(whole, wholeEnd, fraction, fractionEnd)
	if magnitude+exponent > maxWhole || fractionEnd-fraction-exponent > maxFraction {
		return s.fail(fault.CodeInvalidField,
			"is a number that cannot be stored, want at most %d digits before the point and %d after it", maxWhole, maxFraction)
	}
	return nil
}

func (s *scanner) digits() {
	for s.at < len(s.raw) && '0' <= s.raw[s.at] && s.raw[s.at] <= '9' {
		s.at++
	}
}

// magnitude returns how many digits stand before the point, or minus the zeros
// that follow it when the number is less than 0.1.
func (s *scanner) magnitude(whole, wholeEnd, fraction, fractionEnd int) int {
	if s.raw[whole] != '0' {
		return wholeEnd - whole
	}
	for i := fraction; i < fractionEnd; i++ {
		if s.raw[i] != '0' {
			return fraction - i
		}
	}
	return 0
}
