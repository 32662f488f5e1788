// Package dbsqlc holds the statements that need no pipeline, one .sql file per
// subject, and the Go that sqlc makes of them: rows as they are in the tables.
// What they mean is said in adapters/postgres.
package dbsqlc
