package template

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/tasker-go/tasker/core/domain/jsondoc"
)

// Resolve returns the template as it is in an environment: overrides for all
// steps applied first, then those for single steps, each in their order. It has
// no environments left, and its own canonical form and hash. Without overrides
// for the environment it is t itself.
func (t *Template) Resolve(environment string) *Template {
	env, found := t.Environments[environment]
	if !found {
		return t
	}
	r := *t
	r.Steps = slices.Clone(t.Steps)
	r.Environments = nil
	for _, o := range env.Steps {
		if o.Name == AllSteps {
			for i := range r.Steps {
				o.apply(&r.Steps[i])
			}
		}
	}
	for _, o := range env.Steps {
		if no := r.StepNo(o.Name); no != 0 {
			o.apply(r.Step(no))
		}
	}
	if err := r.seal(); err != nil {
		// All of it was sealed before, in t: only the places have changed.
		panic("template: resolve environment: " + err.Error())
	}
	return &r
}

func (o *Override) apply(s *Step) {
	s.Handler.Initialization = merge(s.Handler.Initialization, o.Handler.Initialization)
	if o.TimeoutSeconds != 0 {
		s.TimeoutSeconds = o.TimeoutSeconds
	}
	if o.Retry != nil {
		s.Retry = *o.Retry
	}
}

// merge returns the members of base with those of over in place of or beside
// them. Both are canonical objects or nil, and so is the result.
func merge(base, over json.RawMessage) json.RawMessage {
	if len(base) == 0 || len(over) == 0 {
		return slices.Concat(base, over)
	}
	var members, changes map[string]json.RawMessage
	if json.Unmarshal(base, &members) != nil || json.Unmarshal(over, &changes) != nil {
		return over // not objects: no template that was read has such
	}
	maps.Copy(members, changes)
	merged, err := compact(members)
	if err == nil {
		merged, err = jsondoc.Canonical(merged)
	}
	if err != nil {
		panic("template: merge of two objects: " + err.Error()) // both were JSON above
	}
	return merged
}
