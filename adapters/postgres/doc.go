// Package postgres keeps tasks, steps, templates and history in PostgreSQL.
//
// The hot statements are in sql/, sent in pipelines of two round trips per
// transaction (see uow.go). They follow four rules, each learnt the hard way:
// rows are found by primary key in a materialised CTE and updated by address;
// locking and reading are two statements; locks are taken on tasks in the order
// of their ids, then on steps; and a write that meets rows which have moved on
// fails the transaction in the database, since the commit is already on its way.
package postgres
