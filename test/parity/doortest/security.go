package doortest

import (
	"context"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// Key is the one key that there is.
var Key = access.Key{
	ID: "abc", Name: "shop", Permissions: []access.Permission{access.TasksRead}, Roles: []string{access.Viewer}, Namespaces: []string{"orders"},
	CreatedAt: Epoch, CreatedBy: "ann",
}

// BeginChange keeps no record: the tests of doors are about what reaches the
// application, and those of the audit log have a whole one.
func (*Operators) BeginChange(ctx context.Context, _ app.Operation, _ app.Caller) (context.Context, func(string)) {
	return ctx, func(string) {}
}

// CreateKey returns Key.
func (o *Operators) CreateKey(ctx context.Context, k app.NewKey) (app.IssuedKey, error) {
	return app.IssuedKey{Key: Key, Text: access.KeyText(Key.ID, "secret")}, o.Record(ctx, app.CreateKey, k)
}

// ListKeys returns Key.
func (o *Operators) ListKeys(ctx context.Context) ([]access.Key, error) {
	return []access.Key{Key}, o.Record(ctx, app.ListKeys)
}

// GetKey finds Key.
func (o *Operators) GetKey(ctx context.Context, id string) (access.Key, error) {
	return o.key(o.Record(ctx, app.GetKey, id), id)
}

func (*Operators) key(err error, id string) (access.Key, error) {
	if err == nil && id != Key.ID {
		err = fault.New(fault.CodeKeyNotFound, "there is no key %q", id)
	}
	return Key, err
}

// RotateKey finds Key.
func (o *Operators) RotateKey(ctx context.Context, id string, grace time.Duration) (app.IssuedKey, error) {
	k, err := o.key(o.Record(ctx, app.RotateKey, id, grace), id)
	return app.IssuedKey{Key: k, Text: access.KeyText(Key.ID, "another")}, err
}

// RevokeKey finds Key.
func (o *Operators) RevokeKey(ctx context.Context, id, why string) (access.Key, error) {
	k, err := o.key(o.Record(ctx, app.RevokeKey, id, why), id)
	k.RevokedAt, k.RevokedBy = Epoch.Add(time.Hour), "ann"
	return k, err
}

// ListAudit tells of one change.
func (o *Operators) ListAudit(ctx context.Context, f ports.ChangeFilter, cursor string, limit int) (app.ChangePage, error) {
	return app.ChangePage{Next: "1", Changes: []ports.Change{{
		ID: 1, At: Epoch, Principal: access.Principal{Kind: access.KindKey, ID: Key.ID, Subject: Key.Name}, Operation: string(app.CancelTask),
		Target: ports.ChangeTarget{Kind: "task", ID: "t"}, Namespace: "orders", Reason: "r", Outcome: ports.ChangeOK, RequestID: "q",
		Remote: "127.0.0.1:1", Door: "http",
	}}}, o.Record(ctx, app.ListAudit, f, cursor, limit)
}
