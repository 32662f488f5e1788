package memory

import (
	"cmp"
	"context"
	"slices"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// Register implements ports.TemplateStore.
func (s *Store) Register(ctx context.Context, ts []*template.Template, revise bool) ([]ports.StoredTemplate, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	db := s.db
	db.mu.Lock()
	defer db.mu.Unlock()
	before := len(db.templates)
	var out []ports.StoredTemplate
	for _, t := range ts {
		stored, ok := db.register(t, revise)
		if !ok {
			db.templates = db.templates[:before]
			return nil, fault.In("version", fault.CodeTemplateChanged,
				"version %s of template %s in namespace %s is registered with other content; give what changed a new version",
				t.Version, t.Name, t.Namespace)
		}
		out = append(out, stored)
	}
	for i := range out {
		out[i].Disabled = db.disabling(nameOf(out[i].Definition))
	}
	return out, nil
}

// register returns the revision that holds t's content, made if need be and
// allowed. Going back to earlier content is a revision like any other, where
// revisions are wanted.
func (db *Database) register(t *template.Template, revise bool) (ports.StoredTemplate, bool) {
	newest := 0
	var same ports.StoredTemplate
	for _, known := range db.templates {
		if nameOf(known.Definition) != nameOf(t) {
			continue
		}
		newest = max(newest, known.Revision)
		if known.Definition.Hash() == t.Hash() {
			same = known
		}
	}
	switch {
	case same.ID != 0 && (!revise || same.Revision == newest):
		return ports.StoredTemplate{ID: same.ID, Revision: same.Revision, Definition: t}, true
	case newest > 0 && !revise:
		return ports.StoredTemplate{}, false
	}
	stored := ports.StoredTemplate{ID: ident.TemplateID(len(db.templates) + 1), Revision: newest + 1, Definition: t}
	db.templates = append(db.templates, stored)
	return stored, true
}

func nameOf(t *template.Template) task.Name {
	return task.Name{Namespace: t.Namespace, Name: t.Name, Version: t.Version}
}

// Latest implements ports.TemplateStore.
func (s *Store) Latest(ctx context.Context, name task.Name) (ports.StoredTemplate, error) {
	all, err := s.latest(ctx, func(n task.Name) bool { return n == name })
	if err != nil {
		return ports.StoredTemplate{}, err
	}
	if len(all) == 0 {
		return ports.StoredTemplate{}, unknownVersion(name)
	}
	return all[0], nil
}

// ByID implements ports.TemplateStore.
func (s *Store) ByID(ctx context.Context, ids []ident.TemplateID) ([]ports.StoredTemplate, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	var out []ports.StoredTemplate
	for _, t := range s.db.templates {
		if slices.Contains(ids, t.ID) {
			out = append(out, t)
		}
	}
	return out, nil
}

// List implements ports.TemplateStore.
func (s *Store) List(ctx context.Context, namespace string) ([]ports.StoredTemplate, error) {
	return s.latest(ctx, func(n task.Name) bool { return namespace == "" || n.Namespace == namespace })
}

// latest returns the newest revision of every version that is wanted, in order.
func (s *Store) latest(ctx context.Context, wanted func(task.Name) bool) ([]ports.StoredTemplate, error) {
	if err := s.reading(ctx); err != nil {
		return nil, err
	}
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	newest := map[task.Name]ports.StoredTemplate{}
	for _, t := range s.db.templates { // in the order of their revisions
		if n := nameOf(t.Definition); wanted(n) {
			newest[n] = t
		}
	}
	out := make([]ports.StoredTemplate, 0, len(newest))
	for n, t := range newest {
		t.Disabled = s.db.disabling(n)
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b ports.StoredTemplate) int {
		x, y := nameOf(a.Definition), nameOf(b.Definition)
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Version, y.Version))
	})
	return out, nil
}

// disabling returns a copy of what disables a version, or nil. The caller holds the
// lock.
func (db *Database) disabling(name task.Name) *ports.Hold {
	hold, held := db.disabled[name]
	if !held {
		return nil
	}
	return &hold
}

// Disable implements ports.TemplateStore.
func (s *Store) Disable(ctx context.Context, name task.Name, by, why string) error {
	return s.onVersion(ctx, name, func(db *Database) {
		if db.disabling(name) == nil {
			db.disabled[name] = ports.Hold{By: by, Why: why, Since: db.now()}
		}
	})
}

// Enable implements ports.TemplateStore.
func (s *Store) Enable(ctx context.Context, name task.Name) error {
	return s.onVersion(ctx, name, func(db *Database) { delete(db.disabled, name) })
}

// onVersion has change called with the lock held, if the version is known.
func (s *Store) onVersion(ctx context.Context, name task.Name, change func(*Database)) error {
	if err := s.reading(ctx); err != nil {
		return err
	}
	db := s.db
	db.mu.Lock()
	defer db.mu.Unlock()
	if !slices.ContainsFunc(db.templates, func(t ports.StoredTemplate) bool { return nameOf(t.Definition) == name }) {
		return unknownVersion(name)
	}
	change(db)
	return nil
}

func unknownVersion(name task.Name) error {
	return fault.New(fault.CodeTemplateNotFound,
		"there is no template %s with version %s in namespace %s", name.Name, name.Version, name.Namespace)
}
