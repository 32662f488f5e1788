package dag_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tasker-go/tasker/core/domain/dag"
)

// nodes reads "c<a,b" as step c after a and b.
func nodes(specs ...string) []dag.Node {
	var ns []dag.Node
	for _, s := range specs {
		name, after, _ := strings.Cut(s, "<")
		n := dag.Node{Name: name}
		if after != "" {
			n.After = strings.Split(after, ",")
		}
		ns = append(ns, n)
	}
	return ns
}

func TestBuildDiamond(t *testing.T) {
	t.Parallel()
	g, err := dag.Build(nodes("end<right,left", "left<start", "right<start", "start", "alone"))
	require.NoError(t, err)
	require.Equal(t, 5, g.Len())
	require.Equal(t, 4, g.Edges())
	require.Equal(t, []int32{2, 3}, g.Parents(1))
	require.Empty(t, g.Children(1))
	require.Equal(t, []int32{2, 3}, g.Children(4))
	require.Equal(t, []int32{4, 5}, g.Roots())
	require.Equal(t, []int32{4, 5, 2, 3, 1}, g.Order())
	require.Equal(t, [][]int32{{4, 5}, {2, 3}, {1}}, g.Levels())
	require.Equal(t, int32(2), g.Level(1))
	require.Equal(t, []int32{2, 3, 4}, g.Ancestors(1))
	require.Equal(t, []int32{1, 2, 3}, g.Descendants(4))
	require.Empty(t, g.Ancestors(5))
}

func TestBuildNothing(t *testing.T) {
	t.Parallel()
	g, err := dag.Build(nil)
	require.NoError(t, err)
	require.Zero(t, g.Len())
	require.Empty(t, g.Roots())
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		specs []string
		want  dag.Problems
	}{
		"a name twice": {
			[]string{"a", "b<a", "a<b"},
			dag.Problems{{Kind: dag.DuplicateName, Node: 2, Edge: -1, Name: "a"}},
		},
		"a self edge": {
			[]string{"a", "b<a,b"},
			dag.Problems{{Kind: dag.SelfEdge, Node: 1, Edge: 1, Name: "b"}},
		},
		"an unknown dependency": {
			[]string{"a<x", "b<a,y"},
			dag.Problems{
				{Kind: dag.UnknownDependency, Node: 0, Edge: 0, Name: "x"},
				{Kind: dag.UnknownDependency, Node: 1, Edge: 1, Name: "y"},
			},
		},
		"a dependency twice": {
			[]string{"a", "b<a,a"},
			dag.Problems{{Kind: dag.RepeatedDependency, Node: 1, Edge: 1, Name: "a"}},
		},
		"a cycle of two": {
			[]string{"a<b", "b<a"},
			dag.Problems{{Kind: dag.Cycle, Node: 0, Edge: 0, Name: "a", Path: []string{"a", "b", "a"}}},
		},
		"a cycle behind a root, with a tail": {
			[]string{"tail<c", "root", "a<root,c", "b<a", "c<b"},
			dag.Problems{{Kind: dag.Cycle, Node: 2, Edge: 1, Name: "a", Path: []string{"a", "b", "c", "a"}}},
		},
		"two cycles and more": {
			[]string{"a<b", "b<a", "c<d", "d<c", "e<f"},
			dag.Problems{
				{Kind: dag.Cycle, Node: 0, Edge: 0, Name: "a", Path: []string{"a", "b", "a"}},
				{Kind: dag.Cycle, Node: 2, Edge: 0, Name: "c", Path: []string{"c", "d", "c"}},
				{Kind: dag.UnknownDependency, Node: 4, Edge: 0, Name: "f"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, err := dag.Build(nodes(c.specs...))
			require.Nil(t, g)
			require.Equal(t, c.want, err)
			require.NotContains(t, err.Error(), "no problem")
		})
	}
}

func TestProblemSaysThePathOfACycle(t *testing.T) {
	t.Parallel()
	_, err := dag.Build(nodes("a<c", "b<a", "c<b"))
	require.ErrorContains(t, err, "a -> b -> c -> a")

	ring := make([]dag.Node, 1000)
	for i := range ring {
		ring[i] = dag.Node{Name: "s" + strconv.Itoa(i), After: []string{"s" + strconv.Itoa((i+999)%1000)}}
	}
	_, err = dag.Build(ring)
	require.ErrorContains(t, err, "s0 -> s1 ->")
	require.Less(t, len(err.Error()), 500)
}

// acyclic draws nodes in a random order whose dependencies have no cycle.
func acyclic(t *rapid.T) []dag.Node {
	n := rapid.IntRange(0, 60).Draw(t, "steps")
	names := rapid.Permutation(seq(n)).Draw(t, "order")
	ns := make([]dag.Node, n)
	for at, rank := range names {
		ns[at].Name = "s" + strconv.Itoa(rank)
		if rank > 0 {
			for _, p := range rapid.SliceOfNDistinct(rapid.IntRange(0, rank-1), 0, 4, rapid.ID[int]).Draw(t, "parents") {
				ns[at].After = append(ns[at].After, "s"+strconv.Itoa(p))
			}
		}
	}
	return ns
}

func seq(n int) []int {
	s := make([]int, n)
	for i := range s {
		s[i] = i
	}
	return s
}

func TestGraphKeepsItsLaws(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns := acyclic(t)
		g, err := dag.Build(ns)
		require.NoError(t, err)
		again, err := dag.Build(ns)
		require.NoError(t, err)
		require.Equal(t, g, again, "the same nodes give the same graph")

		place := make(map[int32]int)
		for i, no := range g.Order() {
			place[no] = i
		}
		require.Len(t, place, len(ns), "each step once")
		edges := 0
		for i, n := range ns {
			no := int32(i + 1)
			require.Len(t, g.Parents(no), len(n.After))
			require.True(t, slices.IsSorted(g.Parents(no)))
			require.True(t, slices.IsSorted(g.Children(no)))
			edges += len(n.After)

			level := int32(0)
			ancestors := map[int32]bool{}
			for _, p := range g.Parents(no) {
				require.Contains(t, n.After, ns[p-1].Name)
				require.Contains(t, g.Children(p), no)
				require.Less(t, place[p], place[no], "parents come first")
				level = max(level, g.Level(p)+1)
				ancestors[p] = true
				for _, a := range g.Ancestors(p) {
					ancestors[a] = true
				}
			}
			require.Equal(t, level, g.Level(no))
			require.Contains(t, g.Levels()[level], no)
			require.Len(t, g.Ancestors(no), len(ancestors))
			for _, a := range g.Ancestors(no) {
				require.True(t, ancestors[a])
				require.Contains(t, g.Descendants(a), no)
			}
		}
		require.Equal(t, edges, g.Edges())
	})
}

func TestBuildFindsAnyCycle(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ns := acyclic(t)
		g, err := dag.Build(ns)
		require.NoError(t, err)
		no := rapid.Int32Range(0, int32(g.Len())).Draw(t, "from")
		if no == 0 || len(g.Descendants(no)) == 0 {
			t.Skip("no path to close")
		}
		last := rapid.SampledFrom(g.Descendants(no)).Draw(t, "to")
		ns[no-1].After = append(ns[no-1].After, ns[last-1].Name)

		_, err = dag.Build(ns)
		var problems dag.Problems
		require.ErrorAs(t, err, &problems)
		byName := map[string]dag.Node{}
		for _, n := range ns {
			byName[n.Name] = n
		}
		for _, p := range problems {
			require.Equal(t, dag.Cycle, p.Kind)
			require.GreaterOrEqual(t, len(p.Path), 3)
			require.Equal(t, p.Path[0], p.Path[len(p.Path)-1])
			for i := range len(p.Path) - 1 {
				require.Contains(t, byName[p.Path[i+1]].After, p.Path[i], "each is a dependency of the next")
			}
		}
	})
}

// wide returns layers of width steps, each after all or some of the layer before.
func wide(steps, width, parents int) []dag.Node {
	ns := make([]dag.Node, steps)
	for i := range ns {
		ns[i].Name = fmt.Sprintf("step_%05d", i)
		for p := range parents {
			if layer := i / width; layer > 0 {
				ns[i].After = append(ns[i].After, fmt.Sprintf("step_%05d", (layer-1)*width+(i+p)%width))
			}
		}
	}
	return ns
}

func TestBuildIsFastAtTenThousandSteps(t *testing.T) {
	t.Parallel()
	chain := wide(10_000, 1, 1)
	chain[0].After = []string{"step_09999"} // the worst case for finding a cycle's path
	for name, ns := range map[string][]dag.Node{"chain in a ring": chain, "layers": wide(10_000, 100, 20), "star": wide(10_000, 5000, 1)} {
		start := time.Now()
		_, err := dag.Build(ns)
		require.Equal(t, name == "chain in a ring", err != nil)
		// Linear cost is about 10 ms; quadratic would be seconds. The race detector and a busy machine get room.
		require.Less(t, time.Since(start), 500*time.Millisecond, name)
	}
}

func BenchmarkBuild10000(b *testing.B) {
	ns := wide(10_000, 100, 3)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dag.Build(ns); err != nil {
			b.Fatal(err)
		}
	}
}
