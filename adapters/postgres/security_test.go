package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/core/domain/access"
	"github.com/tasker-go/tasker/core/ports"
	"github.com/tasker-go/tasker/core/ports/portstest"
)

func TestSecurityContract(t *testing.T) {
	t.Parallel()
	portstest.RunSecurity(t, func(t *testing.T) (portstest.SecurityStore, func(time.Duration)) {
		f := open(t)
		return postgres.NewSecurity(f.DB), f.Shift
	})
}

// Whoever is connected to the database cannot change what the audit log says by
// mistake.
func TestTheAuditLogIsOnlyAddedTo(t *testing.T) {
	t.Parallel()
	f := open(t)
	s := postgres.NewSecurity(f.DB)
	require.NoError(t, s.RecordChange(t.Context(), ports.Change{Operation: "old", Outcome: ports.ChangeOK}))
	f.Shift(-48 * time.Hour)
	require.NoError(t, s.RecordChange(t.Context(), ports.Change{Operation: "older", Outcome: ports.ChangeOK}))
	conn := f.connect(t)
	for _, sql := range []string{
		"update tasker.audit_log set outcome = 'ok'",
		"update tasker.audit_log set outcome = 'ok' where false",
		"delete from tasker.audit_log where operation = 'old'",
		"truncate tasker.audit_log",
		"set tasker.audit_retention = 'on'; update tasker.audit_log set outcome = 'ok'",
	} {
		_, err := conn.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, sql)
		require.Equal(t, "42501", pg.Code, sql)
	}
	_, err := conn.Exec(t.Context(), "reset tasker.audit_retention; select tasker.drop_audit_log(now())")
	require.ErrorContains(t, err, "more than a day ago")

	var dropped int
	require.NoError(t, conn.QueryRow(t.Context(), "select tasker.drop_audit_log(now() - interval '1 day')").Scan(&dropped))
	require.Equal(t, 1, dropped)
	_, err = conn.Exec(t.Context(), "delete from tasker.audit_log")
	require.ErrorContains(t, err, "only added to", "the function opens the log for itself alone")
	rows, err := s.Changes(t.Context(), ports.ChangeFilter{}, 0, 10)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, []string{"DropAuditLog", "old"}, []string{rows[0].Operation, rows[1].Operation})
	require.Equal(t, "1 rows", rows[0].Reason)
}

// Nothing that is stored lets anybody present a key.
func TestSecretsAreNotStored(t *testing.T) {
	t.Parallel()
	f := open(t)
	s := postgres.NewSecurity(f.DB)
	k, err := s.AddKey(t.Context(), access.Key{ID: "a", Name: "n", Roles: []string{"viewer"}, Hash: access.HashSecret("open sesame")})
	require.NoError(t, err)
	_, err = s.RotateKey(t.Context(), k.ID, access.HashSecret("another one"), time.Hour)
	require.NoError(t, err)
	var row string
	require.NoError(t, f.connect(t).QueryRow(t.Context(), "select k::text from tasker.api_keys k").Scan(&row))
	require.NotContains(t, row, "sesame")
	require.NotContains(t, row, "another")
}
