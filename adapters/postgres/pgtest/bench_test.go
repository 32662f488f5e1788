package pgtest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// BenchmarkClone compares the ways to copy a template of fifty small tables, one
// at a time and four at once; the constant strategy is the winner's name.
func BenchmarkClone(b *testing.B) {
	cluster, err := shared()
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, stopShared()) })
	template, err := templateFor(b.Context(), cluster, Schema{Migrate: fiftyTables})
	require.NoError(b, err)
	for _, parallel := range []int{1, 4} {
		for _, strategy := range []string{"wal_log", "file_copy"} {
			b.Run(fmt.Sprintf("%s/%d", strategy, parallel), func(b *testing.B) {
				b.SetParallelism(parallel)
				var n int
				names := make(chan string, 1)
				go func() {
					for range b.N {
						n++
						names <- fmt.Sprintf("bench_%s_%d_%d", strategy, parallel, n)
					}
				}()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						name := quoted(<-names)
						require.NoError(b, execute(b.Context(), cluster, "create database "+name+" template "+quoted(template)+" strategy "+strategy))
						require.NoError(b, execute(b.Context(), cluster, "drop database "+name+" with (force)"))
					}
				})
			})
		}
	}
}

func fiftyTables(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	for i := range 50 {
		if _, err = conn.Exec(ctx, fmt.Sprintf("create table t%d (id uuid primary key, a text, b int); create index on t%[1]d (b)", i)); err != nil {
			break
		}
	}
	return errors.Join(err, conn.Close(ctx))
}
