// Package dag is the shape of a workflow: which step comes before which. Steps
// are numbers here, counted from 1 in the order in which they were given; names
// matter only while the graph is built.
package dag

import (
	"cmp"
	"slices"
)

// Node is one step as a template names it.
type Node struct {
	Name  string
	After []string // the names of its parents
}

// Graph is an acyclic graph over steps 1..Len. It never changes, so it may be
// shared by goroutines. The slices that its methods return belong to the graph,
// unless a method says otherwise: read them only.
type Graph struct {
	parents, children edges
	order             []int32 // topological
	level             []int32 // by number
	byLevel           [][]int32
}

// edges holds, for all steps, their neighbours on one side in one slice.
type edges struct {
	start []int32 // neighbours of no are to[start[no]:start[no+1]]
	to    []int32
}

func (e edges) of(no int32) []int32 {
	return e.to[e.start[no]:e.start[no+1]:e.start[no+1]]
}

// Build returns the graph of nodes. The error, when there is one, is Problems
// with everything that is wrong. Time and memory grow linearly with nodes and
// edges.
func Build(nodes []Node) (*Graph, error) {
	numbers, problems := number(nodes)
	g := &Graph{parents: edges{start: make([]int32, len(nodes)+2)}}
	seen := make([]int32, len(nodes)+1) // the last step that named this one, to find repeats
	for i, n := range nodes {
		no := int32(i + 1)
		first := len(g.parents.to)
		for j, name := range n.After {
			parent, known := numbers[name]
			switch {
			case name == n.Name:
				problems = append(problems, Problem{Kind: SelfEdge, Node: i, Edge: j, Name: name})
			case !known:
				problems = append(problems, Problem{Kind: UnknownDependency, Node: i, Edge: j, Name: name})
			case seen[parent] == no:
				problems = append(problems, Problem{Kind: RepeatedDependency, Node: i, Edge: j, Name: name})
			default:
				seen[parent] = no
				g.parents.to = append(g.parents.to, parent)
			}
		}
		slices.Sort(g.parents.to[first:])
		g.parents.start[no+1] = int32(len(g.parents.to)) //nolint:gosec // G115: as above
	}
	g.children = g.parents.reversed()
	if !g.sort() {
		problems = append(problems, g.cycles(nodes)...)
	}
	if len(problems) > 0 {
		slices.SortStableFunc(problems, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Edge, b.Edge))
		})
		return nil, problems
	}
	return g, nil
}

// number gives each name its number; of equal names, the first counts.
func number(nodes []Node) (map[string]int32, Problems) {
	var problems Problems
	numbers := make(map[string]int32, len(nodes))
	for i, n := range nodes {
		if first, taken := numbers[n.Name]; taken {
			problems = append(problems, Problem{Kind: DuplicateName, Node: i, Edge: -1, Name: n.Name, First: int(first - 1)})
			continue
		}
		numbers[n.Name] = int32(i + 1)
	}
	return numbers, problems
}

// reversed returns the same edges seen from the other side, each step's
// neighbours ascending, as they are visited in order.
func (e edges) reversed() edges {
	r := edges{start: make([]int32, len(e.start)), to: make([]int32, len(e.to))}
	for _, to := range e.to {
		r.start[to+1]++
	}
	for no := 1; no < len(r.start); no++ {
		r.start[no] += r.start[no-1]
	}
	next := slices.Clone(r.start)
	for no := int32(1); int(no) < len(e.start)-1; no++ {
		for _, to := range e.of(no) {
			r.to[next[to]] = no
			next[to]++
		}
	}
	return r
}

// sort finds levels and order, and reports whether it reached every step, which
// it does unless there is a cycle.
func (g *Graph) sort() bool {
	n := g.Len()
	g.level = make([]int32, n+1)
	for no := range g.level {
		g.level[no] = -1
	}
	waiting := make([]int32, n+1)
	front := g.Roots()
	for no := int32(1); int(no) <= n; no++ {
		waiting[no] = int32(len(g.Parents(no))) //nolint:gosec // G115: at most ident.MaxSteps
	}
	// A step is reached when its last parent is, so by rounds its level is the longest path.
	for level := int32(0); len(front) > 0; level++ {
		g.byLevel = append(g.byLevel, front)
		g.order = append(g.order, front...)
		var next []int32
		for _, no := range front {
			g.level[no] = level
			for _, child := range g.Children(no) {
				if waiting[child]--; waiting[child] == 0 {
					next = append(next, child)
				}
			}
		}
		slices.Sort(next)
		front = next
	}
	return len(g.order) == n
}

// Len returns how many steps there are.
func (g *Graph) Len() int { return len(g.parents.start) - 2 }

// Edges returns how many edges there are.
func (g *Graph) Edges() int { return len(g.parents.to) }

// Parents returns the steps that no waits for, ascending.
func (g *Graph) Parents(no int32) []int32 { return g.parents.of(no) }

// Children returns the steps that wait for no, ascending.
func (g *Graph) Children(no int32) []int32 { return g.children.of(no) }

// Roots returns the steps without parents, ascending. The slice is the caller's.
func (g *Graph) Roots() []int32 {
	var roots []int32
	for no := int32(1); int(no) <= g.Len(); no++ {
		if len(g.Parents(no)) == 0 {
			roots = append(roots, no)
		}
	}
	return roots
}

// Order returns all steps, parents before children: by level, then by number.
func (g *Graph) Order() []int32 { return g.order }

// Levels returns the steps by level, ascending in each. The level of a step is
// the number of edges on the longest path that leads to it from a root.
func (g *Graph) Levels() [][]int32 { return g.byLevel }

// Level returns the level of a step; see Levels.
func (g *Graph) Level(no int32) int32 { return g.level[no] }

// Ancestors returns all steps that no waits for, however far away, ascending.
// The slice is the caller's. It takes time in proportion to them.
func (g *Graph) Ancestors(no int32) []int32 { return g.parents.reach(no) }

// Descendants returns all steps that wait for no, however far away, ascending.
// The slice is the caller's. It takes time in proportion to them.
func (g *Graph) Descendants(no int32) []int32 { return g.children.reach(no) }

func (e edges) reach(from int32) []int32 {
	var found []int32
	seen := make(map[int32]struct{})
	add := func(nos []int32) {
		for _, no := range nos {
			if _, again := seen[no]; !again {
				seen[no] = struct{}{}
				found = append(found, no)
			}
		}
	}
	add(e.of(from))
	for i := 0; i < len(found); i++ {
		add(e.of(found[i]))
	}
	slices.Sort(found)
	return found
}
