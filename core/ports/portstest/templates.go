package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// withHandler makes a workflow whose steps share one handler.
func withHandler(t *testing.T, name, handler string, specs ...string) *template.Template {
	t.Helper()
	d := *workflow(t, namespace, name, specs...)
	for i := range d.Steps {
		d.Steps[i].Handler.Callable = handler
	}
	made, err := template.New(template.Template{Namespace: d.Namespace, Name: d.Name, Version: d.Version, Steps: d.Steps})
	require.NoError(t, err)
	return made
}

func sameTemplate(t *testing.T, w *world) {
	first := w.register(t, workflow(t, namespace, "flow", "a"))
	require.Equal(t, 1, first.Revision)
	again := w.register(t, workflow(t, namespace, "flow", "a"))
	require.Equal(t, first.ID, again.ID)
	require.Equal(t, 1, again.Revision)
}

func otherTemplate(t *testing.T, w *world) {
	first := w.register(t, workflow(t, namespace, "flow", "a"))
	changed := []*template.Template{workflow(t, namespace, "new", "a"), workflow(t, namespace, "flow", "b")}
	_, err := w.Store.Register(t.Context(), changed, false)
	require.True(t, fault.Is(err, fault.CodeTemplateChanged), "%v", err)
	all, err := w.Store.List(t.Context(), "")
	require.NoError(t, err)
	require.Len(t, all, 1, "all of them are stored, or none")

	stored, err := w.Store.Register(t.Context(), changed, true)
	require.NoError(t, err)
	require.Equal(t, []int{1, 2}, []int{stored[0].Revision, stored[1].Revision})
	require.NotEqual(t, first.ID, stored[1].ID)
	back, err := w.Store.Register(t.Context(), []*template.Template{workflow(t, namespace, "flow", "a")}, true)
	require.NoError(t, err)
	require.Equal(t, 3, back[0].Revision, "going back is a revision too")
	newest, err := w.Store.Latest(t.Context(), task.Name{Namespace: namespace, Name: "flow", Version: "1.0.0"})
	require.NoError(t, err)
	require.Equal(t, back[0].ID, newest.ID)
}

func findTemplates(t *testing.T, w *world) {
	b := w.register(t, workflow(t, "b", "x", "s"))
	z := w.register(t, workflow(t, "a", "z", "s"))
	x := w.register(t, workflow(t, "a", "x", "s", "u<s"))
	ids := func(all []ports.StoredTemplate, err error) []ident.TemplateID {
		require.NoError(t, err)
		var got []ident.TemplateID
		for _, s := range all {
			got = append(got, s.ID)
		}
		return got
	}
	require.Equal(t, []ident.TemplateID{x.ID, z.ID, b.ID}, ids(w.Store.List(t.Context(), "")))
	require.Equal(t, []ident.TemplateID{x.ID, z.ID}, ids(w.Store.List(t.Context(), "a")))
	require.Empty(t, ids(w.Store.List(t.Context(), "none")))
	require.ElementsMatch(t, []ident.TemplateID{x.ID, b.ID}, ids(w.Store.ByID(t.Context(), []ident.TemplateID{b.ID, 1 << 40, x.ID})))

	got, err := w.Store.Latest(t.Context(), task.Name{Namespace: "a", Name: "x", Version: "1.0.0"})
	require.NoError(t, err)
	require.Equal(t, x.ID, got.ID)
	require.Equal(t, x.Definition.Hash(), got.Definition.Hash())
	require.Equal(t, []int32{2}, got.Definition.Graph().Children(1))
	_, err = w.Store.Latest(t.Context(), task.Name{Namespace: "a", Name: "x", Version: "2.0.0"})
	require.True(t, fault.Is(err, fault.CodeTemplateNotFound), "%v", err)
}

func disabledTemplates(t *testing.T, w *world) {
	w.register(t, workflow(t, namespace, "flow", "a"))
	w.register(t, workflow(t, namespace, "other", "a"))
	name := task.Name{Namespace: namespace, Name: "flow", Version: "1.0.0"}
	seen := func() *ports.Hold {
		latest, err := w.Store.Latest(t.Context(), name)
		require.NoError(t, err)
		listed, err := w.Store.List(t.Context(), namespace)
		require.NoError(t, err)
		require.Len(t, listed, 2)
		require.Nil(t, listed[1].Disabled, "the other is not meant")
		again, err := w.Store.Register(t.Context(), []*template.Template{latest.Definition}, false)
		require.NoError(t, err)
		require.Equal(t, latest.Disabled, listed[0].Disabled)
		require.Equal(t, latest.Disabled, again[0].Disabled)
		return latest.Disabled
	}
	require.Nil(t, seen())

	require.NoError(t, w.Store.Disable(t.Context(), name, "Ada", "it pays twice"))
	first := seen()
	require.NotNil(t, first)
	require.Equal(t, "Ada", first.By)
	require.Equal(t, "it pays twice", first.Why)
	w.Shift(time.Hour)
	require.NoError(t, w.Store.Disable(t.Context(), name, "Bob", "me too"), "twice is fine")
	require.Equal(t, first, seen(), "who was first stays")

	// It is the version that is disabled, whatever its revision.
	_, err := w.Store.Register(t.Context(), []*template.Template{workflow(t, namespace, "flow", "b")}, true)
	require.NoError(t, err)
	require.Equal(t, first, seen())

	require.NoError(t, w.Store.Enable(t.Context(), name))
	require.Nil(t, seen())
	require.NoError(t, w.Store.Enable(t.Context(), name), "twice is fine")
	require.NoError(t, w.Store.Disable(t.Context(), name, "Bob", ""))
	require.Equal(t, "Bob", seen().By)
	require.WithinDuration(t, first.Since.Add(time.Hour), seen().Since, time.Minute, "by the clock of the database")

	for _, unknown := range []task.Name{
		{}, {Namespace: namespace, Name: "flow", Version: "1.0.1"}, {Namespace: "none", Name: "flow", Version: "1.0.0"},
	} {
		err := w.Store.Disable(t.Context(), unknown, "Ada", "why")
		require.True(t, fault.Is(err, fault.CodeTemplateNotFound), "%v: %v", unknown, err)
		err = w.Store.Enable(t.Context(), unknown)
		require.True(t, fault.Is(err, fault.CodeTemplateNotFound), "%v: %v", unknown, err)
	}
}
