package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/tasker-go/tasker/adapters/postgres/internal/dbsqlc"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/domain/template"
	"github.com/tasker-go/tasker/core/ports"
)

var _ ports.TemplateStore = (*Store)(nil)

// lockTemplates is held by the one server that registers templates just now; it
// belongs to lockClass.
const lockTemplates int32 = -4

// beginRegister waits for the lock longer than a server which froze while it
// held it is left alone: servers register when they start, and starting late is
// better than not at all.
const beginRegister = "begin; set local lock_timeout = 0; set local statement_timeout = '30s'"

// Register implements ports.TemplateStore. Servers that start at once take
// turns, so each sees what those before it have stored.
func (s *Store) Register(ctx context.Context, ts []*template.Template, revise bool) ([]ports.StoredTemplate, error) {
	if len(ts) == 0 {
		return nil, nil
	}
	var out []ports.StoredTemplate
	err := pgx.BeginTxFunc(ctx, s.reads, pgx.TxOptions{BeginQuery: beginRegister}, func(tx pgx.Tx) (err error) {
		out, err = register(ctx, dbsqlc.New(tx), ts, revise)
		return err
	})
	if err != nil {
		return nil, translate(err)
	}
	return out, nil
}

func register(ctx context.Context, q *dbsqlc.Queries, ts []*template.Template, revise bool) ([]ports.StoredTemplate, error) {
	if err := q.LockTemplates(ctx, dbsqlc.LockTemplatesParams{Class: lockClass, Number: lockTemplates}); err != nil {
		return nil, fmt.Errorf("wait to register templates: %w", err)
	}
	known, err := readRevisions(ctx, q, ts)
	if err != nil {
		return nil, fmt.Errorf("read templates: %w", err)
	}
	fresh, changed := known.add(ts, revise)
	if len(changed) > 0 {
		return nil, changedFault(changed)
	}
	if len(fresh.Names) > 0 {
		rows, err := q.InsertTemplates(ctx, fresh)
		if err != nil {
			return nil, fmt.Errorf("store templates: %w", err)
		}
		for _, row := range rows {
			name := task.Name{Namespace: row.Namespace, Name: row.Name, Version: row.Version}
			known.stored[content{name, string(row.ContentHash)}].id = row.TemplateID
		}
	}
	out := make([]ports.StoredTemplate, len(ts))
	for i, t := range ts {
		r := known.stored[contentOf(t)]
		out[i] = ports.StoredTemplate{ID: r.id, Revision: int(r.no), Definition: t, Disabled: known.held[nameOf(t)]}
	}
	return out, nil
}

// content is what makes a revision. Two definitions are compared by nothing but
// their hashes: the stored document is jsonb, whose text is not what was hashed.
type content struct {
	task.Name
	hash string
}

func nameOf(t *template.Template) task.Name {
	return task.Name{Namespace: t.Namespace, Name: t.Name, Version: t.Version}
}

func contentOf(t *template.Template) content {
	hash := t.Hash()
	return content{nameOf(t), string(hash[:])}
}

type revision struct {
	id ident.TemplateID
	no int32
}

// revisions are all revisions of some versions of templates.
type revisions struct {
	stored map[content]*revision
	newest map[task.Name]int32
	held   map[task.Name]*ports.Hold // of those that are disabled
}

func readRevisions(ctx context.Context, q *dbsqlc.Queries, ts []*template.Template) (revisions, error) {
	var names dbsqlc.TemplateRevisionsParams
	for _, t := range ts {
		names.Namespaces = append(names.Namespaces, t.Namespace)
		names.Names = append(names.Names, t.Name)
		names.Versions = append(names.Versions, t.Version)
	}
	rows, err := q.TemplateRevisions(ctx, names)
	known := revisions{
		stored: make(map[content]*revision, len(ts)), newest: make(map[task.Name]int32, len(ts)),
		held: make(map[task.Name]*ports.Hold),
	}
	for _, row := range rows {
		name := task.Name{Namespace: row.Namespace, Name: row.Name, Version: row.Version}
		c := content{name, string(row.ContentHash)}
		if before := known.stored[c]; before == nil || before.no < row.Revision {
			known.stored[c] = &revision{id: row.TemplateID, no: row.Revision}
		}
		known.newest[name] = max(known.newest[name], row.Revision)
		known.held[name] = disabledBy(row.ByWhom, row.Reason, row.Since)
	}
	return known, err
}

// add numbers the templates that are not known yet, and returns them as they
// are to be stored. Those that would have to be revisions, when these are not
// wanted, are returned by name.
func (k *revisions) add(ts []*template.Template, revise bool) (fresh dbsqlc.InsertTemplatesParams, changed []task.Name) {
	for _, t := range ts {
		c := contentOf(t)
		// Going back to earlier content is a revision like any other, where
		// revisions are wanted.
		if r := k.stored[c]; r != nil && (!revise || r.no == k.newest[c.Name]) {
			continue
		}
		if k.newest[c.Name] > 0 && !revise {
			changed = append(changed, c.Name)
			continue
		}
		k.newest[c.Name]++
		k.stored[c] = &revision{no: k.newest[c.Name]}
		fresh.Namespaces = append(fresh.Namespaces, t.Namespace)
		fresh.Names = append(fresh.Names, t.Name)
		fresh.Versions = append(fresh.Versions, t.Version)
		fresh.Revisions = append(fresh.Revisions, k.newest[c.Name])
		fresh.ContentHashes = append(fresh.ContentHashes, []byte(c.hash))
		fresh.Definitions = append(fresh.Definitions, string(t.Canonical()))
	}
	return fresh, changed
}

func changedFault(changed []task.Name) *fault.Error {
	first := changed[0]
	e := fault.In("version", fault.CodeTemplateChanged,
		"version %s of template %s in namespace %s is registered with other content; give what changed a new version",
		first.Version, first.Name, first.Namespace)
	if len(changed) > 1 {
		e.Message += fmt.Sprintf(" (and %d more)", len(changed)-1)
	}
	for _, n := range changed {
		e.Details = append(e.Details, fault.Detail{
			Field:   n.Namespace + "/" + n.Name + "/" + n.Version,
			Message: "registered with other content; give it a new version",
		})
	}
	return e.With("namespace", first.Namespace).With("name", first.Name).With("version", first.Version)
}

// Latest implements ports.TemplateStore.
func (s *Store) Latest(ctx context.Context, name task.Name) (ports.StoredTemplate, error) {
	row, err := dbsqlc.New(s.reads).LatestTemplate(ctx, dbsqlc.LatestTemplateParams(name))
	if errors.Is(err, pgx.ErrNoRows) {
		return ports.StoredTemplate{}, unknownVersion(name)
	}
	if err != nil {
		return ports.StoredTemplate{}, translate(fmt.Errorf("read template: %w", err))
	}
	return stored(&row.Template, disabledBy(row.ByWhom, row.Reason, row.Since))
}

func unknownVersion(name task.Name) error {
	return fault.New(fault.CodeTemplateNotFound,
		"there is no template %s with version %s in namespace %s", name.Name, name.Version, name.Namespace)
}

// ByID implements ports.TemplateStore.
func (s *Store) ByID(ctx context.Context, ids []ident.TemplateID) ([]ports.StoredTemplate, error) {
	numbers := make([]int64, len(ids))
	for i, id := range ids {
		numbers[i] = int64(id)
	}
	rows, err := dbsqlc.New(s.reads).Templates(ctx, numbers)
	if err != nil {
		return nil, translate(fmt.Errorf("read templates: %w", err))
	}
	out := make([]ports.StoredTemplate, len(rows))
	for i := range rows {
		if out[i], err = stored(&rows[i], nil); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// List implements ports.TemplateStore. The order is that of bytes, whatever the
// database's collation.
func (s *Store) List(ctx context.Context, namespace string) ([]ports.StoredTemplate, error) {
	rows, err := dbsqlc.New(s.reads).LatestTemplates(ctx, namespace)
	if err != nil {
		return nil, translate(fmt.Errorf("list templates: %w", err))
	}
	out := make([]ports.StoredTemplate, len(rows))
	for i := range rows {
		row := &rows[i]
		if out[i], err = stored(&row.Template, disabledBy(row.ByWhom, row.Reason, row.Since)); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(out, func(a, b ports.StoredTemplate) int {
		x, y := nameOf(a.Definition), nameOf(b.Definition)
		return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Version, y.Version))
	})
	return out, nil
}

// stored reads a template back. Its problems are not the caller's: it was
// accepted once, so they are a defect.
func stored(row *dbsqlc.Template, disabled *ports.Hold) (ports.StoredTemplate, error) {
	t, err := template.Parse(row.Definition)
	if err != nil {
		return ports.StoredTemplate{}, fmt.Errorf("stored template %d: %s", row.TemplateID, fault.Of(err).Message)
	}
	return ports.StoredTemplate{ID: row.TemplateID, Revision: int(row.Revision), Definition: t, Disabled: disabled}, nil
}

// disabledBy is nil where there was no row to join.
func disabledBy(by, why pgtype.Text, since *time.Time) *ports.Hold {
	if since == nil {
		return nil
	}
	return &ports.Hold{By: by.String, Why: why.String, Since: since.UTC()}
}

// Disable implements ports.TemplateStore.
func (s *Store) Disable(ctx context.Context, name task.Name, by, why string) error {
	known, err := dbsqlc.New(s.reads).DisableTemplate(ctx, dbsqlc.DisableTemplateParams{
		Namespace: name.Namespace, Name: name.Name, Version: name.Version, ByWhom: by, Reason: why,
		ClockOffset: pgtype.Interval{Microseconds: s.offset.get().Microseconds(), Valid: true},
	})
	return ofVersion(name, known, err)
}

// Enable implements ports.TemplateStore.
func (s *Store) Enable(ctx context.Context, name task.Name) error {
	known, err := dbsqlc.New(s.reads).EnableTemplate(ctx, dbsqlc.EnableTemplateParams(name))
	return ofVersion(name, known, err)
}

func ofVersion(name task.Name, known bool, err error) error {
	switch {
	case err != nil:
		return translate(fmt.Errorf("disable or enable template: %w", err))
	case !known:
		return unknownVersion(name)
	default:
		return nil
	}
}
