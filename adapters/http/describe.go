package http

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tasker-go/tasker/core/domain/access"
)

// describeBodies documents the bodies that huma knows only as bytes.
func (a *api) describeBodies(h *huma.Operation, r route) {
	schema := func(v any) *huma.Schema { return a.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(v), true, "") }
	if r.body != nil {
		h.RequestBody.Content["application/json"].Schema = schema(r.body)
		h.RequestBody.Required = !r.optional
	}
	if r.accepts != nil {
		h.RequestBody.Content = map[string]*huma.MediaType{}
		for _, media := range r.accepts {
			h.RequestBody.Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		}
	}
	done := h.Responses[strconv.Itoa(r.status)]
	if r.answer != nil {
		done.Content = map[string]*huma.MediaType{"application/json": {Schema: schema(r.answer)}}
	}
	if r.also != 0 {
		h.Responses[strconv.Itoa(r.also)] = &huma.Response{
			Description: http.StatusText(r.also), Headers: done.Headers, Content: done.Content,
		}
	}
}

// describeProblems documents the answers that are no success.
func (a *api) describeProblems(h *huma.Operation, r route, need access.Permission) {
	statuses := slices.Clone(r.problems)
	if need != access.Public {
		statuses = append(statuses, http.StatusUnauthorized, http.StatusForbidden, http.StatusRequestTimeout,
			http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable)
	}
	if r.body != nil || r.accepts != nil {
		statuses = append(statuses, http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	}
	schema := a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "")
	for _, status := range statuses {
		h.Responses[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
		}
	}
	if r.media != "" {
		h.Responses[strconv.Itoa(r.status)] = &huma.Response{
			Description: http.StatusText(r.status),
			Content:     map[string]*huma.MediaType{r.media: {Schema: &huma.Schema{Type: huma.TypeString}}},
		}
	}
}
