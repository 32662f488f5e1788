package grpc

import (
	"context"
	"time"

	"google.golang.org/grpc/peer"

	taskerv1 "github.com/tasker-go/tasker/api/taskerv1"
	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

type security struct {
	taskerv1.UnimplementedSecurityServiceServer
	service Service
}

// CreateKey implements taskerv1.SecurityServiceServer.
func (d *security) CreateKey(ctx context.Context, in *taskerv1.CreateKeyRequest) (*taskerv1.CreateKeyResponse, error) {
	k := app.NewKey{Name: in.GetName(), Permissions: in.GetPermissions(), Roles: in.GetRoles(), Namespaces: in.GetNamespaces()}
	if err := timeOf("expires_at", in.GetExpiresAt(), &k.ExpiresAt); err != nil {
		return nil, err
	}
	made, err := d.service.CreateKey(ctx, k)
	if err != nil {
		return nil, err
	}
	return &taskerv1.CreateKeyResponse{Key: toKey(&made.Key), ApiKey: made.Text}, nil
}

// ListKeys implements taskerv1.SecurityServiceServer.
func (d *security) ListKeys(ctx context.Context, _ *taskerv1.ListKeysRequest) (*taskerv1.ListKeysResponse, error) {
	all, err := d.service.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	return &taskerv1.ListKeysResponse{Keys: each(all, toKey)}, nil
}

// GetKey implements taskerv1.SecurityServiceServer.
func (d *security) GetKey(ctx context.Context, in *taskerv1.GetKeyRequest) (*taskerv1.GetKeyResponse, error) {
	k, err := d.service.GetKey(ctx, in.GetKeyId())
	if err != nil {
		return nil, err
	}
	return &taskerv1.GetKeyResponse{Key: toKey(&k)}, nil
}

// RotateKey implements taskerv1.SecurityServiceServer.
func (d *security) RotateKey(ctx context.Context, in *taskerv1.RotateKeyRequest) (*taskerv1.RotateKeyResponse, error) {
	grace := app.DefaultGrace
	if in.GraceSeconds != nil { //nolint:protogetter // absent is not 0
		grace = time.Duration(in.GetGraceSeconds()) * time.Second
	}
	made, err := d.service.RotateKey(ctx, in.GetKeyId(), grace)
	if err != nil {
		return nil, err
	}
	return &taskerv1.RotateKeyResponse{Key: toKey(&made.Key), ApiKey: made.Text}, nil
}

// RevokeKey implements taskerv1.SecurityServiceServer.
func (d *security) RevokeKey(ctx context.Context, in *taskerv1.RevokeKeyRequest) (*taskerv1.RevokeKeyResponse, error) {
	k, err := d.service.RevokeKey(ctx, in.GetKeyId(), in.GetReason())
	if err != nil {
		return nil, err
	}
	return &taskerv1.RevokeKeyResponse{Key: toKey(&k)}, nil
}

// ListAudit implements taskerv1.SecurityServiceServer.
func (d *security) ListAudit(ctx context.Context, in *taskerv1.ListAuditRequest) (*taskerv1.ListAuditResponse, error) {
	f := ports.ChangeFilter{Principal: in.GetPrincipal(), Operation: in.GetOperation(), Target: in.GetTarget()}
	if err := timeOf("from", in.GetFrom(), &f.From); err != nil {
		return nil, err
	}
	if err := timeOf("until", in.GetUntil(), &f.Until); err != nil {
		return nil, err
	}
	page, err := d.service.ListAudit(ctx, f, in.GetCursor(), limitOf(in.Limit, defaultRows)) //nolint:protogetter // absent is not 0
	if err != nil {
		return nil, err
	}
	return &taskerv1.ListAuditResponse{Entries: each(page.Changes, toAuditEntry), NextCursor: given(page.Next)}, nil
}

// recorded has the audit log say what becomes of a call that changes something;
// the gate does this for every method. A panic is an internal error.
func (g *gate) recorded(ctx context.Context, method string, do func(context.Context) error) error {
	op := methods[method]
	if !op.Changes() {
		return do(ctx)
	}
	from := app.Caller{Door: "grpc"}
	if p, ok := peer.FromContext(ctx); ok {
		from.Remote = p.Addr.String()
	}
	ctx, record := g.changes.BeginChange(ctx, op, from)
	outcome := string(fault.CodeInternal)
	defer func() { record(outcome) }()
	err := do(ctx)
	if err == nil {
		outcome = ports.ChangeOK
	} else {
		outcome = string(faultOf(ctx, err).Code)
	}
	return err
}

func toKey(k *access.Key) *taskerv1.ApiKey {
	out := &taskerv1.ApiKey{
		KeyId: k.ID, Name: k.Name, Roles: k.Roles, Namespaces: k.Namespaces, Status: k.Status(time.Now()),
		CreatedAt: instant(k.CreatedAt), CreatedBy: k.CreatedBy, ExpiresAt: instant(k.ExpiresAt), RotatedAt: instant(k.RotatedAt),
		OldSecretUntil: instant(k.OldUntil), LastUsedAt: instant(k.LastUsed), RevokedAt: instant(k.RevokedAt), RevokedBy: given(k.RevokedBy),
	}
	for _, p := range k.Permissions {
		out.Permissions = append(out.Permissions, string(p))
	}
	return out
}

func toAuditEntry(c *ports.Change) *taskerv1.AuditEntry {
	return &taskerv1.AuditEntry{
		AuditId: c.ID, At: instant(c.At), Principal: c.Principal.Subject, PrincipalKind: string(c.Principal.Kind), PrincipalId: c.Principal.ID,
		Operation: c.Operation, TargetKind: c.Target.Kind, Target: c.Target.ID, Namespace: c.Namespace, Reason: c.Reason, Outcome: c.Outcome,
		RequestId: c.RequestID, RemoteAddress: c.Remote, Door: c.Door,
	}
}
