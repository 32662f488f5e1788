package dag

import (
	"fmt"
	"slices"
	"strings"
)

// Kind says what is wrong with a graph. Zero is nothing.
type Kind uint8

// The kinds of problem.
const (
	DuplicateName      Kind = iota + 1 // two nodes have one name
	SelfEdge                           // a node depends on itself
	UnknownDependency                  // a dependency names no node
	RepeatedDependency                 // a node names one dependency twice
	Cycle                              // nodes wait for each other
)

// Problem is one thing wrong with the nodes given to Build.
type Problem struct {
	Kind  Kind
	Node  int      // index of the node to blame
	Edge  int      // index in its After, or -1 when the node itself is to blame
	Name  string   // the name in question
	First int      // DuplicateName: index of the node that has the name already
	Path  []string // Cycle: its names, each a dependency of the next, the first again at the end
}

// String says what is wrong and what would be right.
func (p Problem) String() string {
	switch p.Kind {
	case DuplicateName:
		return fmt.Sprintf("the name %q is taken by step %d of the list, want each name once", p.Name, p.First+1)
	case SelfEdge:
		return fmt.Sprintf("step %q depends on itself, want other steps only", p.Name)
	case UnknownDependency:
		return fmt.Sprintf("%q is not a step of this template", p.Name)
	case RepeatedDependency:
		return fmt.Sprintf("%q is named twice, want each dependency once", p.Name)
	case Cycle:
		return fmt.Sprintf("these steps wait for each other: %s; take one of these dependencies away", shortPath(p.Path))
	default:
		return "no problem"
	}
}

// Problems is everything wrong with the nodes given to Build, in their order.
type Problems []Problem

// Error returns all problems as one text.
func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, "; ")
}

// maxShown is how many names of a cycle a message shows.
const maxShown = 20

func shortPath(path []string) string {
	const arrow = " -> "
	if len(path) <= maxShown {
		return strings.Join(path, arrow)
	}
	half := maxShown / 2
	return strings.Join(path[:half], arrow) +
		fmt.Sprintf(" -> … %d more … -> ", len(path)-maxShown) +
		strings.Join(path[len(path)-half:], arrow)
}

// cycles returns the cycles that are found by following, from each step that
// sort did not reach, the first parent that it did not reach either: at least
// one for each knot, no step in two of them, in linear time.
func (g *Graph) cycles(nodes []Node) Problems {
	var problems Problems
	walk := make([]int32, g.Len()+1) // the walk that came by, named by its first step
	for first := int32(1); int(first) <= g.Len(); first++ {
		if g.level[first] >= 0 || walk[first] != 0 {
			continue
		}
		var way []int32
		no := first
		for walk[no] == 0 {
			walk[no] = first
			way = append(way, no)
			no = g.unreachedParent(no)
		}
		if walk[no] != first {
			continue // led to what an earlier walk has seen
		}
		problems = append(problems, g.cycle(way[slices.Index(way, no):], nodes))
	}
	return problems
}

func (g *Graph) unreachedParent(no int32) int32 {
	for _, parent := range g.Parents(no) {
		if g.level[parent] < 0 {
			return parent
		}
	}
	panic("dag: a step that was not reached has a parent that was not reached")
}

// cycle makes a problem of steps each of which depends on the next, and the
// last on the first. The step that comes first in the template is blamed, for
// the dependency that closes the cycle.
func (g *Graph) cycle(steps []int32, nodes []Node) Problem {
	low := slices.Index(steps, slices.Min(steps))
	p := Problem{Kind: Cycle, Node: int(steps[low] - 1), Name: nodes[steps[low]-1].Name}
	for i := range len(steps) + 1 { // against the dependencies: in the order of running
		at := ((low-i)%len(steps) + len(steps)) % len(steps)
		p.Path = append(p.Path, nodes[steps[at]-1].Name)
	}
	p.Edge = slices.Index(nodes[p.Node].After, p.Path[len(p.Path)-2])
	return p
}
