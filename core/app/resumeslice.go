package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tasker-go/tasker/core/domain/deadletter"
	"github.com/tasker-go/tasker/core/domain/fault"
	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/ports"
)

const (
	// sliceTime is how long one call of ContinueResume goes on with new batches.
	sliceTime = 5 * time.Second
	// resumeBatch is how many letters are handed to the actors at once.
	resumeBatch = 256
	// canaryPatience is how long the rest waits for the canary's tasks to end.
	canaryPatience = 5 * time.Minute
	// fewSettled is how many tasks must have ended before their failures say
	// anything of the others.
	fewSettled = 10
)

// slice is a part of the work of a bulk resume.
type slice struct {
	*Application
	at     ports.BulkResume
	asked  resumeRequest
	filter ports.LetterFilter
	do     redo
	ends   time.Time
	judged time.Time // when the outcome was last looked at
	cost   time.Duration
}

// ContinueResume does a part of a bulk resume, of some seconds. It is called
// again, after wait, while again is true; after an error it is called again from
// where it was. What is resumed is resumed once, however often it is called: a
// letter is closed with the transaction that resumes it.
func (a *Application) ContinueResume(ctx context.Context, id uuid.UUID) (again bool, wait time.Duration, err error) {
	at, err := a.Resumes.Resume(ctx, id)
	if fault.Is(err, fault.CodeResumeNotFound) {
		return a.ContinueBulk(ctx, id) // the same job carries on both
	}
	if err != nil || at.State != ports.ResumeCanary && at.State != ports.ResumeRunning {
		return false, 0, err
	}
	s := &slice{Application: a, at: at, ends: time.Now().Add(sliceTime)} //nolint:forbidigo // measures work
	if err := json.Unmarshal(at.Request, &s.asked); err != nil {
		return false, 0, fmt.Errorf("the request of resume %s: %w", id, err)
	}
	if s.filter, err = s.asked.Filter.filter(); err != nil {
		return false, 0, fmt.Errorf("the filter of resume %s: %w", id, err)
	}
	// A task that fails again has a new letter: it is not for this resume.
	if s.filter.Until.IsZero() || s.filter.Until.After(at.CreatedAt) {
		s.filter.Until = at.CreatedAt
	}
	s.do = redo{by: at.By, why: strings.TrimSpace(fmt.Sprintf("%s (bulk resume %s)", at.Reason, id))}
	if s.do.failed, err = actionOf("action", s.asked.Action); err != nil {
		return false, 0, err
	}
	return s.run(ctx)
}

func (s *slice) run(ctx context.Context) (again bool, wait time.Duration, err error) {
	for {
		again, wait, err = s.look(ctx)
		if err != nil || !again || wait > 0 {
			return again, wait, err
		}
		began := time.Now() //nolint:forbidigo // keeps the rate
		n, err := s.batch(ctx)
		if err != nil || n == 0 {
			return false, 0, err
		}
		wait = time.Since(began) //nolint:forbidigo // other work is done meanwhile: as long a rest as the batch took
		if s.asked.Rate > 0 {
			wait = time.Duration(float64(n)/s.asked.Rate*float64(time.Second)) - time.Since(began) //nolint:forbidigo // as above
		}
		if left := time.Until(s.ends); left <= wait || left <= 0 { //nolint:forbidigo // measures work
			return true, max(0, wait), nil
		}
		if err := rest(ctx, wait); err != nil {
			return true, 0, err
		}
	}
}

func rest(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// done is how many letters are behind.
func (s *slice) done() int { return s.at.Resumed + s.at.Refused }

// look decides whether to go on: not when too many have failed again, and not
// until the canary is over.
func (s *slice) look(ctx context.Context) (again bool, wait time.Duration, err error) {
	waits := s.at.State == ports.ResumeCanary && s.done() >= canarySize(s.at.Matched, s.asked.CanaryPercent)
	// It costs more with each letter: it is given a tenth of the time.
	if !waits && time.Since(s.judged) < max(time.Second, 10*s.cost) { //nolint:forbidigo // measures work
		return true, 0, nil
	}
	began := time.Now() //nolint:forbidigo // measures work
	o, err := s.Resumes.Outcome(ctx, s.at.ID)
	if err != nil {
		return false, 0, err
	}
	s.judged, s.cost = time.Now(), time.Since(began) //nolint:forbidigo // as above
	s.at.Resumed, s.at.FailedAgain = max(s.at.Resumed, o.Resumed), max(s.at.FailedAgain, o.FailedAgain)
	least := fewSettled
	if waits {
		if o.UnderWay > 0 && o.Now.Sub(s.at.UpdatedAt) < canaryPatience {
			return true, time.Second, nil
		}
		least = 1
	}
	settled := o.Resumed - o.UnderWay
	if share := 100 * float64(o.FailedAgain) / float64(max(1, settled)); s.asked.StopPercent > 0 && settled >= least && share >= s.asked.StopPercent {
		s.at.State = ports.ResumeStopped
		s.at.Message = fmt.Sprintf("stopped: of %d tasks that have ended since, %d have failed again (%.0f %%), and stop_percent is %v",
			settled, o.FailedAgain, share, s.asked.StopPercent)
		_, err := s.Resumes.Save(ctx, s.at)
		return false, 0, err
	}
	if waits {
		s.at.State = ports.ResumeRunning
		again, err = s.Resumes.Save(ctx, s.at)
		return again, 0, err
	}
	return true, 0, nil
}

// size is how many letters the next batch has at most.
func (s *slice) size() int {
	n := resumeBatch
	if s.asked.Rate > 0 {
		n = min(n, max(1, int(s.asked.Rate)))
	}
	if s.asked.Limit > 0 {
		n = min(n, s.asked.Limit-s.done())
	}
	if s.at.State == ports.ResumeCanary {
		n = min(n, canarySize(s.at.Matched, s.asked.CanaryPercent)-s.done())
	}
	return max(0, n)
}

// batch resumes the next letters and returns how many; none is the end. They are
// marked first: should this be cut off, those that are closed are known to be
// this resume's, and those that are not are found again.
func (s *slice) batch(ctx context.Context) (int, error) {
	var keys []ports.LetterKey
	if n := s.size(); n > 0 {
		var err error
		if keys, err = s.Resumes.Next(ctx, s.filter, s.at.After, n); err != nil {
			return 0, err
		}
	}
	if len(keys) == 0 {
		return 0, s.complete(ctx)
	}
	ids := make([]deadletter.EntryID, len(keys))
	for i := range keys {
		ids[i] = keys[i].ID
	}
	if err := s.Resumes.Mark(ctx, s.at.ID, ids); err != nil {
		return 0, err
	}
	outcomes, err := s.send(ctx, keys)
	if err != nil {
		return 0, err
	}
	var refused []deadletter.EntryID
	for i, o := range outcomes {
		err := o.err
		if err == nil {
			err = s.afterRedo(ctx, s.do, keys[i], o.refusal)
		}
		if fault.Is(err, fault.CodeDeadLetterClosed) {
			err = s.closedBy(ctx, ids[i], err)
		}
		switch {
		case err == nil:
			s.at.Resumed++
		case passing(err):
			return 0, err
		default:
			refused = append(refused, ids[i])
			s.at.Refused++
			if f := fault.Of(err); f.Code != fault.CodeDeadLetterClosed && s.at.Message == "" {
				s.at.Message = fmt.Sprintf("some were refused, the first of them %s: %s", ids[i], f.Message)
			}
		}
	}
	if err := s.Resumes.Unmark(ctx, s.at.ID, refused); err != nil {
		return 0, err
	}
	s.at.After = ids[len(ids)-1]
	saved, err := s.Resumes.Save(ctx, s.at)
	if err != nil || !saved { // somebody cancelled it
		return 0, err
	}
	return len(keys), nil
}

// closedBy returns nil if a letter that is found closed was closed by this
// resume: in a transaction of unknown outcome, which was then tried again. The
// note of who closed it names the resume.
func (s *slice) closedBy(ctx context.Context, id deadletter.EntryID, closed error) error {
	l, err := s.Letters.Letter(ctx, id)
	switch {
	case fault.Is(err, fault.CodeDeadLetterNotFound):
		return closed
	case err != nil:
		return err
	case l.Notes == s.do.why:
		return nil
	default:
		return closed
	}
}

// passing reports whether an error says nothing of the letter.
func passing(err error) bool {
	return ports.IsOutage(err) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) ||
		fault.Of(err).Kind == fault.Unavailable
}

type outcome struct {
	refusal plan.Refusal
	err     error
}

// send hands all letters to an actor before it waits, so that they share
// transactions.
func (s *slice) send(ctx context.Context, keys []ports.LetterKey) ([]outcome, error) {
	out := make([]outcome, len(keys))
	answers := make(chan struct{}, len(keys))
	sent := 0
	var failed error
	for i, k := range keys {
		answered := func(r plan.Refusal, err error) {
			out[i] = outcome{r, err}
			answers <- struct{}{}
		}
		if s.do.failed == 0 {
			failed = s.Finalizer.Send(ctx, s.do.ending(k), answered)
		} else {
			failed = s.Enqueuer.Send(ctx, s.do.wake(k), answered)
		}
		if failed != nil {
			break
		}
		sent++
	}
	for range sent {
		select {
		case <-answers:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return out, failed
}

func (s *slice) complete(ctx context.Context) error {
	o, err := s.Resumes.Outcome(ctx, s.at.ID)
	if err != nil {
		return err
	}
	s.at.Resumed, s.at.FailedAgain = max(s.at.Resumed, o.Resumed), max(s.at.FailedAgain, o.FailedAgain)
	s.at.State = ports.ResumeComplete
	_, err = s.Resumes.Save(ctx, s.at)
	return err
}
