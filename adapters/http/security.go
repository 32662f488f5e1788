package http

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/ports"
)

// CreateKeyBody documents what a key is to be.
type CreateKeyBody struct {
	Name        string   `json:"name" maxLength:"255" doc:"Whose it is. The audit log and the history show it."`
	Permissions []string `json:"permissions,omitempty" nullable:"true" doc:"What it may do, as resource:action or resource:*."`
	Roles       []string `json:"roles,omitempty" nullable:"true" doc:"Named sets of permissions. A key has a permission or a role."`
	Namespaces  []string `json:"namespaces,omitempty" nullable:"true" doc:"The namespaces that it is kept to; none for all of them."`
	ExpiresAt   *string  `json:"expires_at,omitempty" nullable:"true" format:"date-time" doc:"When it ends. Default never."`
}

// RotateKeyBody documents how a key gets another secret.
type RotateKeyBody struct {
	GraceSeconds *int `json:"grace_seconds,omitempty" nullable:"true" minimum:"0" maximum:"2592000" doc:"How long the secret that it has now is accepted. Default 86400."`
}

// KeyResponse is a stored key, without its secret.
type KeyResponse struct {
	KeyID          string     `json:"key_id" doc:"Part of what its holder presents; no secret."`
	Name           string     `json:"name"`
	Permissions    []string   `json:"permissions" nullable:"false"`
	Roles          []string   `json:"roles" nullable:"false"`
	Namespaces     []string   `json:"namespaces" nullable:"false" doc:"None for all of them."`
	Status         string     `json:"status" enum:"active,expired,revoked"`
	CreatedAt      time.Time  `json:"created_at"`
	CreatedBy      string     `json:"created_by"`
	ExpiresAt      *time.Time `json:"expires_at" doc:"Null for never."`
	RotatedAt      *time.Time `json:"rotated_at"`
	OldSecretUntil *time.Time `json:"old_secret_until" doc:"Until when the secret before the last rotation is accepted."`
	LastUsedAt     *time.Time `json:"last_used_at" doc:"To a minute or so."`
	RevokedAt      *time.Time `json:"revoked_at"`
	RevokedBy      *string    `json:"revoked_by"`
}

// IssuedKeyResponse is a key together with its secret.
type IssuedKeyResponse struct {
	KeyResponse
	APIKey string `json:"api_key" doc:"What its holder presents. It is not shown again."`
}

// AuditEntry says that somebody asked for a change.
type AuditEntry struct {
	AuditID       int64     `json:"audit_id" doc:"Later ones are larger."`
	At            time.Time `json:"at" doc:"When it was over."`
	Principal     string    `json:"principal" doc:"Who asked: the name of a key, or the subject of a token."`
	PrincipalKind string    `json:"principal_kind" doc:"How they have shown it: key, jwt, anonymous, command or database."`
	PrincipalID   string    `json:"principal_id" doc:"The key's id, where it was a key."`
	Operation     string    `json:"operation" example:"CancelTask"`
	TargetKind    string    `json:"target_kind" doc:"task, step, template, namespace, dead_letter, resume or key; empty when it was refused before that was known."`
	Target        string    `json:"target" doc:"Its id; of a template namespace/name/version."`
	Namespace     string    `json:"namespace" doc:"Where the target is; empty when it is nowhere."`
	Reason        string    `json:"reason" doc:"Why, in their words."`
	Outcome       string    `json:"outcome" doc:"ok, or the code of the error."`
	RequestID     string    `json:"request_id"`
	RemoteAddress string    `json:"remote_address"`
	Door          string    `json:"door" doc:"How it came: http, grpc, cli or sql."`
}

// AuditPage is a page of the audit log.
type AuditPage struct {
	Entries    []AuditEntry `json:"entries" nullable:"false" doc:"The newest first."`
	NextCursor *string      `json:"next_cursor" doc:"Where the next page begins; null after the last."`
}

type keyInput struct {
	KeyID string `path:"key_id" doc:"The key."`
}

type rotateInput struct {
	KeyID   string `path:"key_id" doc:"The key."`
	RawBody []byte `contentType:"application/json"`
}

type revokeInput struct {
	KeyID  string `path:"key_id" doc:"The key."`
	Reason string `query:"reason" maxLength:"500" doc:"Why; kept in the audit log."`
}

type auditInput struct {
	Principal string `query:"principal" doc:"The name of a key, or the subject of a token."`
	Operation string `query:"operation" doc:"Such as CancelTask."`
	Target    string `query:"target" doc:"An id."`
	From      string `query:"from" doc:"Not older; a time."`
	Until     string `query:"until" doc:"Older; a time."`
	Cursor    string `query:"cursor" doc:"next_cursor of the page before."`
	Limit     int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

type issuedOutput struct {
	Location      string `header:"Location" doc:"Where the key is."`
	UnknownFields string `header:"X-Tasker-Unknown-Fields" doc:"Fields of the body that were not understood; absent when there are none."`
	Body          IssuedKeyResponse
}

func registerSecurity(a *api, s Service) {
	register(a, app.CreateKey, func(ctx context.Context, in *bodyInput) (*issuedOutput, error) {
		var k app.NewKey
		unknown, err := readObject(in.RawBody, fields{
			"name": text(&k.Name), "permissions": texts(&k.Permissions), "roles": texts(&k.Roles), "namespaces": texts(&k.Namespaces),
			"expires_at": moment(&k.ExpiresAt),
		})
		if err != nil {
			return nil, err
		}
		made, err := s.CreateKey(ctx, k)
		if err != nil {
			return nil, err
		}
		return &issuedOutput{Location: "/v1/keys/" + made.ID, UnknownFields: unknownNames(unknown), Body: issuedKey(&made)}, nil
	})
	register(a, app.ListKeys, func(ctx context.Context, _ *struct{}) (*list[KeyResponse], error) {
		all, err := s.ListKeys(ctx)
		return listed(all, err, keyResponse)
	})
	register(a, app.GetKey, func(ctx context.Context, in *keyInput) (*read[KeyResponse], error) {
		k, err := s.GetKey(ctx, in.KeyID)
		if err != nil {
			return nil, err
		}
		return &read[KeyResponse]{Body: keyResponse(&k)}, nil
	})
	register(a, app.RotateKey, func(ctx context.Context, in *rotateInput) (*acted[IssuedKeyResponse], error) {
		grace := int(app.DefaultGrace / time.Second)
		var unknown []string
		if len(in.RawBody) > 0 {
			var err error
			if unknown, err = readObject(in.RawBody, fields{"grace_seconds": whole(&grace)}); err != nil {
				return nil, err
			}
		}
		made, err := s.RotateKey(ctx, in.KeyID, time.Duration(grace)*time.Second)
		if err != nil {
			return nil, err
		}
		return &acted[IssuedKeyResponse]{UnknownFields: unknownNames(unknown), Body: issuedKey(&made)}, nil
	})
	register(a, app.RevokeKey, func(ctx context.Context, in *revokeInput) (*read[KeyResponse], error) {
		k, err := s.RevokeKey(ctx, in.KeyID, in.Reason)
		if err != nil {
			return nil, err
		}
		return &read[KeyResponse]{Body: keyResponse(&k)}, nil
	})
	register(a, app.ListAudit, func(ctx context.Context, in *auditInput) (*read[AuditPage], error) {
		f := ports.ChangeFilter{Principal: in.Principal, Operation: in.Operation, Target: in.Target}
		for _, bound := range []struct {
			field, text string
			into        *time.Time
		}{{"from", in.From, &f.From}, {"until", in.Until, &f.Until}} {
			if bound.text == "" {
				continue
			}
			if err := parseTime(bound.field, bound.text, bound.into); err != nil {
				return nil, err
			}
		}
		page, err := s.ListAudit(ctx, f, in.Cursor, in.Limit)
		if err != nil {
			return nil, err
		}
		out := &read[AuditPage]{Body: AuditPage{Entries: make([]AuditEntry, len(page.Changes)), NextCursor: given(page.Next)}}
		for i := range page.Changes {
			out.Body.Entries[i] = auditEntry(&page.Changes[i])
		}
		return out, nil
	})
}

// recorded has the audit log say what becomes of an operation that changes
// something; register does this for every route. A panic is an internal error.
func recorded[I, O any](a *api, op app.Operation, do func(context.Context, *I) (*O, error)) func(context.Context, *I) (*O, error) {
	if !op.Changes() {
		return do
	}
	return func(ctx context.Context, in *I) (*O, error) {
		from := app.Caller{Door: "http"}
		if c := callOf(ctx); c != nil {
			from.Remote = c.remote
		}
		ctx, record := a.changes.BeginChange(ctx, op, from)
		outcome := string(fault.CodeInternal)
		defer func() { record(outcome) }()
		out, err := do(ctx, in)
		if err == nil {
			outcome = ports.ChangeOK
		} else if p, ok := errors.AsType[*Problem](err); ok {
			outcome = p.Code
		} else {
			outcome = string(faultOf(ctx, err).Code)
		}
		return out, err
	}
}

// texts reads a list of strings.
func texts(into *[]string) func(string, json.RawMessage) error {
	return func(path string, raw json.RawMessage) error { return readTexts(path, raw, into) }
}

func keyResponse(k *access.Key) KeyResponse {
	r := KeyResponse{
		KeyID: k.ID, Name: k.Name, Permissions: make([]string, len(k.Permissions)), Roles: append([]string{}, k.Roles...),
		Namespaces: append([]string{}, k.Namespaces...), Status: k.Status(time.Now()), CreatedAt: k.CreatedAt, CreatedBy: k.CreatedBy,
		ExpiresAt: when(k.ExpiresAt), RotatedAt: when(k.RotatedAt), OldSecretUntil: when(k.OldUntil), LastUsedAt: when(k.LastUsed),
		RevokedAt: when(k.RevokedAt), RevokedBy: given(k.RevokedBy),
	}
	for i, p := range k.Permissions {
		r.Permissions[i] = string(p)
	}
	return r
}

func issuedKey(k *app.IssuedKey) IssuedKeyResponse {
	return IssuedKeyResponse{KeyResponse: keyResponse(&k.Key), APIKey: k.Text}
}

func auditEntry(c *ports.Change) AuditEntry {
	return AuditEntry{
		AuditID: c.ID, At: c.At, Principal: c.Principal.Subject, PrincipalKind: string(c.Principal.Kind), PrincipalID: c.Principal.ID,
		Operation: c.Operation, TargetKind: c.Target.Kind, Target: c.Target.ID, Namespace: c.Namespace, Reason: c.Reason, Outcome: c.Outcome,
		RequestID: c.RequestID, RemoteAddress: c.Remote, Door: c.Door,
	}
}

var securityRoutes = map[app.Operation]route{
	app.CreateKey: {
		method: http.MethodPost, path: "/v1/keys", status: http.StatusCreated, tag: "security",
		summary: "Make an API key",
		description: "The secret is in the answer, and nowhere else: the server keeps a hash. " +
			"Nobody can give a key more than they have themselves.",
		problems: []int{http.StatusConflict}, body: CreateKeyBody{},
	},
	app.ListKeys: {
		method: http.MethodGet, path: "/v1/keys", status: http.StatusOK, tag: "security",
		summary: "List API keys, newest first", description: "Revoked and expired ones, too.",
	},
	app.GetKey: {
		method: http.MethodGet, path: "/v1/keys/{key_id}", status: http.StatusOK, tag: "security",
		summary: "Read an API key", problems: []int{missing},
	},
	app.RotateKey: {
		method: http.MethodPost, path: "/v1/keys/{key_id}/rotate", status: http.StatusOK, tag: "security",
		summary:     "Give an API key another secret",
		description: "The one that it had is accepted for a while. Who asks needs all that the key may do.",
		problems:    []int{missing}, body: RotateKeyBody{}, optional: true,
	},
	app.RevokeKey: {
		method: http.MethodDelete, path: "/v1/keys/{key_id}", status: http.StatusOK, tag: "security",
		summary:     "Revoke an API key for good",
		description: "Within a second no server accepts it. The key stays in the list.",
		problems:    []int{bad, missing},
	},
	app.ListAudit: {
		method: http.MethodGet, path: "/v1/audit", status: http.StatusOK, tag: "security",
		summary:     "Who changed what, newest first",
		description: "Filters combine. Rows are only ever added.",
		problems:    []int{bad},
	},
}
