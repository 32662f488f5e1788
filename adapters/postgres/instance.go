package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
)

// lockClass is the first half of the key of all advisory locks of Tasker: the
// letters "task". The second half is an instance's number, or one of the names
// below, which are negative.
const lockClass int32 = 0x7461736b

const (
	lockMigrate    int32 = -1
	lockFold       int32 = -2
	lockPartitions int32 = -3
)

const instanceKey = "tasker.instance"

// instance is the number under which this server holds leases. Each connection
// that can write a lease holds a shared lock on it, so that the lock is free
// only when nothing of this server can still commit.
type instance struct {
	description string
	mu          sync.Mutex
	no          int32
}

func (i *instance) number() int32 {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.no
}

// attach makes a new connection hold the lock. A server that had lost all its
// connections may find its number given up by others: then it takes a new one.
func (i *instance) attach(ctx context.Context, conn *pgx.Conn) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.no != 0 {
		held, err := lockNumber(ctx, conn, i.no)
		if err != nil || held {
			return err
		}
	}
	var no int32
	err := conn.QueryRow(ctx, `
		insert into tasker.instances (instance_no, description)
		values (nextval('tasker.instance_numbers'), $1) returning instance_no`, i.description).Scan(&no)
	if err != nil {
		return fmt.Errorf("take an instance number: %w", err)
	}
	held, err := lockNumber(ctx, conn, no)
	if err != nil {
		return err
	}
	if !held {
		return errors.New("another server gave up the instance number that was just taken")
	}
	i.no = no
	return nil
}

// forsake gives a number up: the next connection takes another one, and once the
// last that holds this one is closed, its leases are given to others.
func (i *instance) forsake(no int32) (was bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if was = i.no == no; was {
		i.no = 0
	}
	return was
}

// lockNumber takes the shared lock, then looks whether the number is still ours:
// whoever gives a number up does so under the exclusive lock.
func lockNumber(ctx context.Context, conn *pgx.Conn, no int32) (bool, error) {
	if _, err := conn.Exec(ctx, "select pg_advisory_lock_shared($1, $2)", lockClass, no); err != nil {
		return false, fmt.Errorf("hold the instance lock: %w", err)
	}
	var there bool
	err := conn.QueryRow(ctx, "select exists (select from tasker.instances where instance_no = $1)", no).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("look for the instance: %w", err)
	}
	if !there {
		_, err = conn.Exec(ctx, "select pg_advisory_unlock_shared($1, $2)", lockClass, no)
		return false, err
	}
	conn.PgConn().CustomData()[instanceKey] = no
	return true, nil
}

// instanceOf returns the number that a hot connection holds the lock of.
func instanceOf(conn *pgx.Conn) int32 {
	no, _ := conn.PgConn().CustomData()[instanceKey].(int32)
	return no
}
