// Package catalog knows the registered templates. Revisions never change, so
// what is known of one stays true; only which is the newest does not.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

// fresh is how long the newest revision of a version is believed to be the
// newest; another server may register one.
const fresh = 5 * time.Second

// Catalog is safe for concurrent use.
type Catalog struct {
	store       ports.TemplateStore
	schemas     ports.InputSchemas
	environment string

	byID    sync.Map // ident.TemplateID → ports.StoredTemplate, whose Disabled says nothing
	mu      sync.Mutex
	newest  map[task.Name]entry
	changes int // made by this server: what was read before one may be outdated
}

type entry struct {
	stored ports.StoredTemplate
	until  time.Time
}

// New returns a catalog over a store. Definitions come out as they are in the
// environment; what is stored is the same in all of them.
func New(store ports.TemplateStore, schemas ports.InputSchemas, environment string) *Catalog {
	return &Catalog{store: store, schemas: schemas, environment: environment, newest: map[task.Name]entry{}}
}

// Check returns everything that is wrong with a template, its JSON Schemas
// included.
func (c *Catalog) Check(t *template.Template) []fault.Detail {
	return append(t.Validate(), t.CheckSchemas(c.schemas.Compile)...)
}

// Register checks and stores templates: all of them, or none.
func (c *Catalog) Register(ctx context.Context, ts []*template.Template, revise bool) ([]ports.StoredTemplate, error) {
	var problems []fault.Detail
	for _, t := range ts {
		for _, p := range c.Check(t) {
			p.Field = fmt.Sprintf("%s/%s/%s: %s", t.Namespace, t.Name, t.Version, p.Field)
			problems = append(problems, p)
		}
	}
	if len(problems) > 0 {
		f := fault.New(fault.CodeInvalidTemplate, "%d problems in %d templates; the first: %s: %s",
			len(problems), len(ts), problems[0].Field, problems[0].Message)
		f.Details = problems
		return nil, f
	}
	before := c.seen()
	stored, err := c.store.Register(ctx, ts, revise)
	if err != nil {
		return nil, err
	}
	for _, s := range stored {
		c.believe(before, nameOf(s.Definition), c.remember(s))
	}
	c.changed()
	return stored, nil
}

// Disable says that no more tasks of a version are to be created; see
// ports.TemplateStore. Newest tells of it at once on this server, and soon on
// others.
func (c *Catalog) Disable(ctx context.Context, name task.Name, by, why string) error {
	defer c.changed(name) // also after an error: it may be stored all the same
	return c.store.Disable(ctx, name, by, why)
}

// Enable ends that; see Disable.
func (c *Catalog) Enable(ctx context.Context, name task.Name) error {
	defer c.changed(name)
	return c.store.Enable(ctx, name)
}

// Enabled returns a fault template_disabled if s is of a disabled version.
func Enabled(s ports.StoredTemplate) error {
	if s.Disabled == nil {
		return nil
	}
	d := s.Definition
	why := s.Disabled.Why
	if why != "" {
		why = ": " + why
	}
	return fault.New(fault.CodeTemplateDisabled,
		"%s/%s/%s is disabled since %s by %s%s; create tasks of another version, or enable it",
		d.Namespace, d.Name, d.Version, s.Disabled.Since.UTC().Format(time.RFC3339), s.Disabled.By, why)
}

// Newest returns the newest revision of a version, or a fault
// template_not_found.
func (c *Catalog) Newest(ctx context.Context, name task.Name) (ports.StoredTemplate, error) {
	c.mu.Lock()
	e, ok := c.newest[name]
	c.mu.Unlock()
	if ok && time.Now().Before(e.until) { //nolint:forbidigo // age of a cache entry
		return e.stored, nil
	}
	before := c.seen()
	stored, err := c.store.Latest(ctx, name)
	if err != nil {
		if ok && ports.IsOutage(err) {
			return e.stored, nil // it was the newest, and nobody can say otherwise
		}
		return ports.StoredTemplate{}, err
	}
	stored = c.remember(stored)
	c.believe(before, name, stored)
	return stored, nil
}

// seen returns how many changes this server has made.
func (c *Catalog) seen() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changes
}

// changed has what was read of these versions read anew, and what is being read
// just now not believed.
func (c *Catalog) changed(names ...task.Name) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes++
	for _, name := range names {
		delete(c.newest, name)
	}
}

// believe takes s for the newest for a while, unless it was read before a
// change: then it may be outdated.
func (c *Catalog) believe(before int, name task.Name, s ports.StoredTemplate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before != c.changes {
		delete(c.newest, name)
		return
	}
	c.newest[name] = entry{stored: s, until: time.Now().Add(fresh)} //nolint:forbidigo // age of a cache entry
}

func nameOf(d *template.Template) task.Name {
	return task.Name{Namespace: d.Namespace, Name: d.Name, Version: d.Version}
}

// List returns the newest revisions; see ports.TemplateStore.
func (c *Catalog) List(ctx context.Context, namespace string) ([]ports.StoredTemplate, error) {
	return c.store.List(ctx, namespace)
}

// remember keeps one copy of each revision, so that everything made from a
// definition is made once.
func (c *Catalog) remember(s ports.StoredTemplate) ports.StoredTemplate {
	kept, known := c.byID.Load(s.ID)
	if !known {
		s.Definition = s.Definition.Resolve(c.environment)
		kept, _ = c.byID.LoadOrStore(s.ID, s)
	}
	s.Definition = kept.(ports.StoredTemplate).Definition
	return s
}

// Definition returns a revision that is known already, else nil; see Ensure.
func (c *Catalog) Definition(id ident.TemplateID) *template.Template {
	if s, ok := c.byID.Load(id); ok {
		return s.(ports.StoredTemplate).Definition
	}
	return nil
}

// Unknown returns those of the ids that Definition does not know.
func (c *Catalog) Unknown(snap *plan.Snapshot) []ident.TemplateID {
	var ids []ident.TemplateID
	for _, t := range snap.Tasks {
		if c.Definition(t.Template) == nil {
			ids = append(ids, t.Template)
		}
	}
	return ids
}

// Ensure makes revisions known.
func (c *Catalog) Ensure(ctx context.Context, ids []ident.TemplateID) error {
	var missing []ident.TemplateID
	for _, id := range ids {
		if c.Definition(id) == nil {
			missing = append(missing, id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	stored, err := c.store.ByID(ctx, missing)
	if err != nil {
		return fmt.Errorf("load templates: %w", err)
	}
	for _, s := range stored {
		c.remember(s)
	}
	for _, id := range missing {
		if c.Definition(id) == nil {
			return fmt.Errorf("template %d: %w", id, errGone)
		}
	}
	return nil
}

var errGone = errors.New("a task is pinned to it, and it is not there")

// CheckInput returns a fault unless doc, a task's context, fits the template's schema.
func (c *Catalog) CheckInput(def *template.Template, doc []byte) error {
	if len(def.InputSchema) == 0 {
		return nil
	}
	problems := c.schemas.Validate(def.Hash(), def.InputSchema, doc)
	if len(problems) == 0 {
		return nil
	}
	f := fault.In(problems[0].Field, fault.CodeInvalidInput, "the context does not fit the input_schema of %s/%s/%s: %s: %s",
		def.Namespace, def.Name, def.Version, problems[0].Field, problems[0].Message)
	f.Details = problems
	return f
}

// Describe implements dispatch.Describer.
func (c *Catalog) Describe(ctx context.Context, s ports.ClaimedStep) (ports.Assignment, error) {
	if err := c.Ensure(ctx, []ident.TemplateID{s.Template}); err != nil {
		return ports.Assignment{}, err
	}
	def := c.Definition(s.Template)
	st := def.Step(s.Def)
	inputs := st.Handler.Initialization
	if s.Inputs != nil {
		inputs = s.Inputs
	}
	return ports.Assignment{
		ClaimedStep: s,
		Queue:       plan.Queue{Namespace: def.Namespace, Handler: st.Handler.Callable},
		Task:        ports.TaskNames{Namespace: def.Namespace, Name: def.Name, Version: def.Version},
		Init:        inputs,
		Limit:       st.TimeoutSeconds,
		Max:         int32(st.Retry.MaxAttempts), //nolint:gosec // G115: validated to at most 100
	}, nil
}
