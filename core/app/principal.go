package app

import (
	"context"

	"github.com/tasker-go/tasker/core/domain/access"
)

type principalKey struct{}

// WithPrincipal says for whom the work under ctx is done. Both doors set it
// before they call an operation; work that the program does of its own accord
// has nobody, or access.Anonymous.
func WithPrincipal(ctx context.Context, p access.Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, &p)
}

// PrincipalOf returns for whom the work under ctx is done: the zero Principal
// when nobody asked for it from outside. Doors have compared its permissions
// with what the operation needs already; operations keep to its namespaces.
func PrincipalOf(ctx context.Context) access.Principal {
	if p, ok := ctx.Value(principalKey{}).(*access.Principal); ok {
		return *p
	}
	return access.Principal{}
}
