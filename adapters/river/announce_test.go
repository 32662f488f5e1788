package river_test

import (
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	riverqueue "github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/stretchr/testify/require"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/river"
	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/ident"
)

func letter(n byte) deadletter.EntryID { return deadletter.ID(ident.TaskID{n}, 1) }

// A control job that we insert is a row that River's own insert would have written.
func TestControlJobsAreTheRowsThatRiverWrites(t *testing.T) {
	t.Parallel()
	p := pool(t)
	resume := uuid.New()
	send(t, p, func(b *pgx.Batch) {
		river.QueueAnnouncements(b, []deadletter.EntryID{letter(1), letter(2)})
		river.QueueResume(b, resume)
	})

	client, err := riverqueue.NewClient(riverpgxv5.New(p), &riverqueue.Config{Schema: postgres.Schema})
	require.NoError(t, err)
	tx, err := p.Begin(t.Context())
	require.NoError(t, err)
	for _, args := range []riverqueue.JobArgs{
		river.AnnounceArgs{Version: 1, Entry: letter(1)}, river.AnnounceArgs{Version: 1, Entry: letter(2)},
		river.ResumeArgs{Version: 1, Resume: resume},
	} {
		_, err = client.InsertTx(t.Context(), tx, args, nil)
		require.NoError(t, err)
	}
	require.NoError(t, tx.Commit(t.Context()))

	rows, err := p.Query(t.Context(), `
		select to_jsonb(j) - 'id' - 'created_at' - 'scheduled_at', abs(extract(epoch from scheduled_at - now())) < 60
		from tasker.river_job j order by id`)
	require.NoError(t, err)
	var timely bool
	var raw []byte
	var got []map[string]any
	_, err = pgx.ForEachRow(rows, []any{&raw, &timely}, func() error {
		var columns map[string]any
		require.True(t, timely)
		got = append(got, nil)
		err := json.Unmarshal(raw, &columns)
		got[len(got)-1] = columns
		return err
	})
	require.NoError(t, err)
	require.Len(t, got, 6)
	require.Equal(t, got[3:], got[:3])
}

// One notification for a statement, as River would send it, and none before the
// transaction commits.
func TestControlJobsWakeTheClients(t *testing.T) {
	t.Parallel()
	p := pool(t)
	listener, err := p.Acquire(t.Context())
	require.NoError(t, err)
	defer listener.Release()
	_, err = listener.Exec(t.Context(), `listen "tasker.river_insert"`)
	require.NoError(t, err)
	send(t, p, func(b *pgx.Batch) {
		river.QueueAnnouncements(b, []deadletter.EntryID{letter(1), letter(2), letter(3)})
		b.Queue("select pg_notify('tasker.river_insert', 'last')")
	})
	for _, want := range []string{`{"queue": "control"}`, "last"} {
		n, err := listener.Conn().WaitForNotification(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, n.Payload)
	}
}
