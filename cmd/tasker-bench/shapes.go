package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/tasker-go/tasker/worker"
)

// namespace of everything that the bench creates.
const namespace = "bench"

// shape is a workflow to measure. Steps are named by their numbers, and each has
// a handler, and with it a queue, of its own, as in real programs; a fan-out's
// middle steps share one.
type shape struct {
	name    string
	parents [][]int // of each step: the numbers of its parents, counted from 1
	handler []int   // of each step: which of the handlers; nil for one each
	samples int     // how many tasks are timed one at a time, all rounds together
	tasks   int     // how many tasks are created in one bulk run
}

func (s *shape) steps() int { return len(s.parents) }

// fanned is how many steps the wide shape has in its middle.
const fanned = 1000

var shapes = []shape{
	{name: "single", parents: [][]int{nil}, samples: 300, tasks: 2000},
	{name: "linear4", parents: [][]int{nil, {1}, {2}, {3}}, samples: 300, tasks: 2000},
	{name: "diamond4", parents: [][]int{nil, {1}, {1}, {2, 3}}, samples: 300, tasks: 2000},
	// init → left, right; validate needs both, transform left, analyze right;
	// finalize needs all three.
	{name: "dag7", parents: [][]int{nil, {1}, {1}, {2, 3}, {2}, {3}, {4, 5, 6}}, samples: 300, tasks: 2000},
	{name: "tree8", parents: [][]int{nil, {1}, {1}, {2}, {2}, {3}, {3}, {4, 5, 6, 7}}, samples: 300, tasks: 2000},
	fanOut("fanout1000", fanned),
}

// fanOut is one step, then n side by side, then one that needs them all.
func fanOut(name string, n int) shape {
	s := shape{name: name, samples: 50, tasks: 16}
	last := make([]int, n)
	s.parents, s.handler = append(s.parents, nil), append(s.handler, 1)
	for i := range n {
		s.parents, s.handler = append(s.parents, []int{1}), append(s.handler, 2)
		last[i] = i + 2
	}
	s.parents, s.handler = append(s.parents, last), append(s.handler, 3)
	return s
}

func findShape(name string) (shape, error) {
	i := slices.IndexFunc(shapes, func(s shape) bool { return s.name == name })
	if i < 0 {
		var names []string
		for _, s := range shapes {
			names = append(names, s.name)
		}
		return shape{}, fmt.Errorf("there is no shape %q, only %s", name, strings.Join(names, ", "))
	}
	return shapes[i], nil
}

// yaml returns the template of the shape in a namespace.
func (s *shape) yaml(ns string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: %s\nnamespace_name: %s\nversion: %s\nsteps:\n", s.name, ns, version)
	for i, parents := range s.parents {
		h := i + 1
		if s.handler != nil {
			h = s.handler[i]
		}
		fmt.Fprintf(&b, "  - {name: s%d, handler: {callable: %s}", i+1, handlerName(h))
		if len(parents) > 0 {
			names := make([]string, len(parents))
			for j, p := range parents {
				names[j] = fmt.Sprintf("s%d", p)
			}
			fmt.Fprintf(&b, ", dependencies: [%s]", strings.Join(names, ", "))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// version of all templates of the bench.
const version = "1.0.0"

func handlerName(i int) string { return fmt.Sprintf("bench.noop%d", i) }

// unserved is a template of n steps side by side whose handler nobody has.
func unserved(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "name: unserved\nnamespace_name: %s\nversion: %s\nsteps:\n", namespace, version)
	for i := range n {
		fmt.Fprintf(&b, "  - {name: s%d, handler: {callable: bench.nobody}}\n", i+1)
	}
	return b.String()
}

// templateTexts returns, by name, the templates of all shapes in the namespace of
// the bench, and a small one in each of the others.
func templateTexts(others []string) (map[string]string, error) {
	small, err := findShape("linear4")
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for i := range shapes {
		texts[shapes[i].name] = shapes[i].yaml(namespace)
	}
	for _, ns := range others {
		texts["other-"+ns] = small.yaml(ns)
	}
	return texts, nil
}

// files returns texts as YAML files: an archive in memory, which is the file
// system that the standard library has for that.
func files(texts map[string]string) (fs.FS, error) {
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	var err error
	for name, text := range texts {
		w, createErr := archive.Create(name + ".yaml")
		if createErr == nil {
			_, createErr = io.WriteString(w, text)
		}
		err = errors.Join(err, createErr)
	}
	if err := errors.Join(err, archive.Close()); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
}

// handlers do no work; what they return is of the size that small results have.
func handlers() worker.Handlers {
	noop := worker.Func(func(context.Context, *worker.Step) (any, error) {
		return map[string]any{"ok": true, "n": 42}, nil
	})
	all := worker.Handlers{}
	for i := range shapes {
		n := shapes[i].steps()
		if shapes[i].handler != nil {
			n = slices.Max(shapes[i].handler)
		}
		for h := range n {
			all[handlerName(h+1)] = noop
		}
	}
	return all
}
