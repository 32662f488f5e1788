package app

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
	"github.com/tasker-go/tasker/core/ports"
)

// This file keeps principals to their namespaces. What is in another namespace
// does not exist for them: it is not found, and not in lists. To make something
// in a namespace, or to act on it as a whole, is refused by its name, which the
// caller has given. Principals of all namespaces cost no query.

// mayActIn refuses to make something in a namespace, or to act on it as a whole.
func mayActIn(ctx context.Context, namespace string) error {
	who := PrincipalOf(ctx)
	if who.Within(namespace) {
		return nil
	}
	return fault.In("namespace", fault.CodePermissionDenied, "these credentials are not for the namespace %q, but for %s",
		namespace, strings.Join(who.Namespaces, ", "))
}

// withinOf returns the namespaces that a list is narrowed to; nil for none.
func withinOf(ctx context.Context) []string {
	if who := PrincipalOf(ctx); who.Scoped() {
		return who.Namespaces
	}
	return nil
}

// reach returns a fault task_not_found for tasks of other namespaces.
func (a *Application) reach(ctx context.Context, id ident.TaskID) error {
	who := PrincipalOf(ctx)
	if !who.Scoped() {
		return nil
	}
	of, err := a.Reads.Namespaces(ctx, []ident.TaskID{id})
	if err != nil {
		return err
	}
	if namespace, ok := of[id]; !ok || !who.Within(namespace) {
		return TaskNotFound(id)
	}
	return nil
}

// reachLetter returns a fault dead_letter_not_found for those of other
// namespaces.
func (a *Application) reachLetter(ctx context.Context, id deadletter.EntryID) error {
	who := PrincipalOf(ctx)
	if !who.Scoped() {
		return nil
	}
	l, err := a.Letters.Letter(ctx, id)
	if err == nil && !who.Within(l.Name.Namespace) {
		err = noLetter(id)
	}
	return err
}

func noLetter(id deadletter.EntryID) error {
	return fault.New(fault.CodeDeadLetterNotFound, "there is no dead letter %s", id)
}

func noLetterOf(id ident.TaskID) error {
	return fault.New(fault.CodeDeadLetterNotFound, "task %s has no dead letter", id)
}

// reachTemplate returns a fault template_not_found for those of other
// namespaces.
func reachTemplate(ctx context.Context, name task.Name) error {
	if PrincipalOf(ctx).Within(name.Namespace) {
		return nil
	}
	return fault.New(fault.CodeTemplateNotFound,
		"there is no template %s with version %s in namespace %s", name.Name, name.Version, name.Namespace)
}

// visibleTemplates leaves out those of other namespaces.
func visibleTemplates(ctx context.Context, all []ports.StoredTemplate) []ports.StoredTemplate {
	who := PrincipalOf(ctx)
	if !who.Scoped() {
		return all
	}
	return slices.DeleteFunc(all, func(s ports.StoredTemplate) bool { return !who.Within(s.Definition.Namespace) })
}

// reachPause refuses to hold back, or to let go, what is in other namespaces.
func (a *Application) reachPause(ctx context.Context, p ports.Pause) error {
	switch p.Kind {
	case ports.PauseTask:
		return a.reach(ctx, p.Task)
	case ports.PauseTemplate:
		return reachTemplate(ctx, p.Name)
	case ports.PauseNamespace:
	}
	return mayActIn(ctx, p.Name.Namespace)
}

// visiblePauses returns the pauses within the principal's namespaces, of the
// newest that there are: as many as any list may have.
func (a *Application) visiblePauses(ctx context.Context, limit int) ([]ports.Pause, error) {
	all, err := a.Pauses.ListPauses(ctx, maxRows)
	if err != nil {
		return nil, err
	}
	var ids []ident.TaskID
	for _, p := range all {
		if p.Kind == ports.PauseTask {
			ids = append(ids, p.Task)
		}
	}
	of, err := a.Reads.Namespaces(ctx, ids)
	if err != nil {
		return nil, err
	}
	who := PrincipalOf(ctx)
	all = slices.DeleteFunc(all, func(p ports.Pause) bool {
		namespace := p.Name.Namespace
		if p.Kind == ports.PauseTask {
			namespace = of[p.Task]
		}
		return !who.Within(namespace)
	})
	return all[:min(limit, len(all))], nil
}

// reachResume returns a bulk resume, or a fault resume_not_found for those that
// may touch other namespaces.
func (a *Application) reachResume(ctx context.Context, id uuid.UUID) (ports.BulkResume, error) {
	r, err := a.Resumes.Resume(ctx, id)
	if err == nil && !visibleResume(ctx, r) {
		return ports.BulkResume{}, fault.New(fault.CodeResumeNotFound, "there is no bulk resume %s", id)
	}
	return r, err
}

// visibleResume reports whether a bulk resume keeps to the principal's
// namespaces.
func visibleResume(ctx context.Context, r ports.BulkResume) bool {
	who := PrincipalOf(ctx)
	if !who.Scoped() {
		return true
	}
	var asked resumeRequest
	if json.Unmarshal(r.Request, &asked) != nil {
		return false
	}
	of := ports.LetterFilter{Namespace: asked.Filter.Namespace, Within: asked.Filter.Within}.Namespaces()
	return of != nil && !slices.ContainsFunc(of, func(namespace string) bool { return !who.Within(namespace) })
}

// visibleResumes returns the newest bulk resumes that keep to the principal's
// namespaces, of as many as any list may have.
func visibleResumes(ctx context.Context, resumes ports.Resumes, limit int) ([]ports.BulkResume, error) {
	all, err := resumes.ListResumes(ctx, maxRows)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(r ports.BulkResume) bool { return !visibleResume(ctx, r) })
	return all[:min(limit, len(all))], nil
}
