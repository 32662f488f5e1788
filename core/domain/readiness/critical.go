package readiness

// Named is a step by number and name.
type Named struct {
	No   int32
	Name string // empty for a step that the facts lack
}

// criticalPath returns the longest chain of unfinished steps, each a parent of
// the next: what must still be done one after the other. Length is the number of
// steps, for nobody knows how long a step takes that has not run; of equal
// chains, the one with the smallest numbers, looked at from the end. Steps of a
// cycle, which no template can have, do not hang it.
func (x *explainer) criticalPath() []Named {
	const unseen, open = 0, -1
	type visit struct{ at, next int32 }
	var (
		n      = len(x.f.Steps)
		length = make([]int32, n) // of the longest chain that ends in a step
		via    = make([]int32, n) // the step before it in that chain
		stack  []visit
		last   = int32(-1)
	)
	for i := range x.f.Steps {
		if x.f.Steps[i].State.Settled() {
			continue
		}
		if length[i] == unseen {
			stack = append(stack, visit{at: int32(i)})
			length[i], via[i] = open, -1
		}
		for len(stack) > 0 {
			v := &stack[len(stack)-1]
			parents := x.f.Steps[v.at].Parents
			if int(v.next) == len(parents) {
				length[v.at] = 1
				if before := via[v.at]; before >= 0 {
					length[v.at] += length[before]
				}
				stack = stack[:len(stack)-1]
				continue
			}
			p := x.find(parents[v.next])
			switch {
			case p < 0 || x.f.Steps[p].State.Settled() || length[p] == open:
				v.next++
			case length[p] == unseen:
				length[p], via[p] = open, -1
				stack = append(stack, visit{at: p})
			default:
				if best := via[v.at]; best < 0 || x.longer(length, p, best) {
					via[v.at] = p
				}
				v.next++
			}
		}
		if at := int32(i); last < 0 || x.longer(length, at, last) {
			last = at
		}
	}
	if last < 0 {
		return nil
	}
	path := make([]Named, length[last])
	for i, at := len(path)-1, last; at >= 0; i, at = i-1, via[at] {
		path[i] = Named{x.f.Steps[at].No, x.f.Steps[at].Name}
	}
	return path
}

// longer reports whether the chain that ends in a goes before the one that ends
// in b.
func (x *explainer) longer(length []int32, a, b int32) bool {
	if length[a] != length[b] {
		return length[a] > length[b]
	}
	return x.f.Steps[a].No < x.f.Steps[b].No
}
