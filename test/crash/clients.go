package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tasker-go/tasker/test/crash/program"
)

const (
	clientCount = 8
	longestStep = 20 // milliseconds
	// A request that nobody answers is made again: a killed server says nothing.
	requestLimit = 10 * time.Second
	retryAfter   = 20 * time.Millisecond
)

// clients create tasks whatever happens to the server: each request is made
// again until it is answered with the id of a task. The same request twice is
// one task, since its context is its identity.
type clients struct {
	server *supervisor
	rest   *program.Client
	seed   uint64
	turns  chan int // numbers of tasks that may be created now
	group  sync.WaitGroup

	mu         sync.Mutex
	ids        []string  // acknowledged
	lastSent   time.Time // when the latest of the acknowledged requests was sent
	retried    int       // requests without an answer, or refused for now
	existing   int       // answered with an existing task: an earlier answer was lost
	unexpected []string  // answers that no server may give here
	err        error
}

func newClients(ctx context.Context, s *supervisor, o options) *clients {
	c := &clients{server: s, rest: program.NewClient(requestLimit), seed: o.seed, turns: make(chan int, o.tasks)}
	for range clientCount {
		c.group.Go(func() {
			for n := range c.turns {
				if err := c.create(ctx, n); err != nil {
					c.mu.Lock()
					c.err = errors.Join(c.err, err)
					c.mu.Unlock()
					return
				}
			}
		})
	}
	return c
}

// create makes one task, and returns an error only when ctx ends or no server
// runs any more.
func (c *clients) create(ctx context.Context, n int) error {
	for {
		p, err := c.server.serving(ctx)
		if err != nil {
			return err
		}
		sent := time.Now()
		a, err := c.rest.Create(ctx, p.HTTP, "crash", "diamond", input{N: n, Seed: c.seed, Longest: longestStep})
		if c.note(n, sent, a, err) {
			return nil
		}
		pause := time.NewTimer(retryAfter)
		select {
		case <-pause.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// note reports whether the task is acknowledged.
func (c *clients) note(n int, sent time.Time, a program.Answer, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil && (a.Status == http.StatusCreated || a.Status == http.StatusConflict) && a.TaskID != "":
		c.ids = append(c.ids, a.TaskID)
		if sent.After(c.lastSent) {
			c.lastSent = sent
		}
		if a.Status == http.StatusConflict {
			c.existing++
		}
		return true
	case err == nil && a.Status != http.StatusServiceUnavailable && a.Status != http.StatusRequestTimeout:
		c.unexpected = append(c.unexpected, fmt.Sprintf("task %d: %d %s", n, a.Status, a.Body))
	}
	c.retried++
	return false
}

// worksSince reports whether a request that was sent after t is acknowledged.
func (c *clients) worksSince(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastSent.After(t)
}

// finish waits until every task that was given out is acknowledged.
func (c *clients) finish() error {
	close(c.turns)
	c.group.Wait()
	return c.err
}
