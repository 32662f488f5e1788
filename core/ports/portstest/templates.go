package portstest

import (
	"testing"

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
