package app

import (
	"context"
	"slices"
	"time"

	"github.com/tasker-go/tasker/core/app/watch"
	"github.com/tasker-go/tasker/core/domain/ident"
	"github.com/tasker-go/tasker/core/domain/task"
)

// AwaitTask waits until a task has ended, or is in one of the states, and
// returns it; when it has not come that far after the time given, or the server
// is about to stop, as it stands then. The fault is task_not_found.
func (a *Application) AwaitTask(ctx context.Context, id ident.TaskID, longest time.Duration, until []task.State) (Task, error) {
	if err := a.reach(ctx, id); err != nil {
		return Task{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-a.Hub.Leaving():
			cancel()
		case <-stop:
		}
	}()
	err := a.WatchTask(waiting, id, func(u watch.Update) error {
		if slices.Contains(until, u.State) {
			cancel()
			return waiting.Err()
		}
		return nil
	})
	if err != nil && (waiting.Err() == nil || ctx.Err() != nil) {
		return Task{}, err
	}
	return a.GetTask(ctx, id)
}

// TaskEvents are what happens to a followed task: a watch.Follower.
type TaskEvents interface {
	Next(ctx context.Context) (events []watch.Event, ended bool, err error)
	Standing(ctx context.Context) (events []watch.Event, ended bool, err error)
	Ended() bool
	Close()
}

// FollowTask begins to follow every change of a task and of its steps, after
// the event with the given id, or from its creation when that is empty. Faults:
// task_not_found, invalid_field, shutting_down.
func (a *Application) FollowTask(ctx context.Context, id ident.TaskID, after string) (TaskEvents, error) {
	if err := a.reach(ctx, id); err != nil {
		return nil, err
	}
	f, err := a.Hub.Follow(ctx, id, after)
	if err != nil {
		return nil, err
	}
	return f, nil
}
