package pgtest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// schema has one table; sql is its only migration.
func schema(sql string) pgtest.Schema {
	return pgtest.Schema{
		Files: fstest.MapFS{"1.sql": {Data: []byte(sql)}},
		Migrate: func(ctx context.Context, url string) error {
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				return err
			}
			_, err = conn.Exec(ctx, sql)
			return errors.Join(err, conn.Close(ctx))
		},
	}
}

func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func TestDatabasesAreIsolated(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			conn := connect(t, pgtest.New(t, schema("create table things (n int)")).URL)
			_, err := conn.Exec(t.Context(), "insert into things values ($1)", i)
			require.NoError(t, err)
			var n int
			require.NoError(t, conn.QueryRow(t.Context(), "select sum(n) from things").Scan(&n))
			require.Equal(t, i, n)
		})
	}
}

func TestDatabaseIsDroppedWithItsConnections(t *testing.T) {
	t.Parallel()
	var url string
	t.Run("uses one", func(t *testing.T) {
		url = pgtest.Empty(t).URL
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		require.NoError(t, conn.Ping(t.Context())) // left open on purpose
	})
	_, err := pgx.Connect(t.Context(), url)
	require.ErrorContains(t, err, "does not exist")
}

func TestOtherMigrationsAreAnotherTemplate(t *testing.T) {
	t.Parallel()
	a := connect(t, pgtest.New(t, schema("create table a ()")).URL)
	b := connect(t, pgtest.New(t, schema("create table b ()")).URL)
	_, err := a.Exec(t.Context(), "select from a")
	require.NoError(t, err)
	_, err = b.Exec(t.Context(), "select from b")
	require.NoError(t, err)
	_, err = b.Exec(t.Context(), "select from a")
	require.ErrorContains(t, err, "does not exist")
}
