package dispatch

import (
	"context"
	"sync"

	"github.com/tasker-go/tasker/core/domain/plan"
	"github.com/tasker-go/tasker/core/domain/step"
	"github.com/tasker-go/tasker/core/ports"
)

// Reservation holds slots for a claim that is under way. Exactly one of Done
// and Abort must follow.
type Reservation struct {
	Request ports.ClaimRequest

	d     *Dispatcher
	lanes []*lane
	holds [][]hold // per queue of the request
	fed   []*lane  // got jobs that the claim does not take
	full  []bool   // per queue: fewer were asked for than were inserted
}

type hold struct {
	worker *slots
	n      int
}

// take reserves up to n slots of the lane's workers. The caller holds the lock.
func (l *lane) take(n int) (holds []hold, got int) {
	for _, w := range l.workers {
		if m := min(n-got, w.free); m > 0 {
			w.free -= m
			got += m
			holds = append(holds, hold{w, m})
		}
	}
	return holds, got
}

func (l *lane) free() int {
	n := 0
	for _, w := range l.workers {
		n += w.free
	}
	return n
}

func (r *Reservation) add(l *lane, holds []hold, n int, more bool) {
	r.Request.Queues = append(r.Request.Queues, l.queue)
	r.Request.Limits = append(r.Request.Limits, n)
	r.lanes, r.holds, r.full = append(r.lanes, l), append(r.holds, holds), append(r.full, more)
	if len(r.lanes) == 1 {
		r.d.busy++
	}
}

// share gives the free slots to the lanes that may hold something, in equal
// parts, beginning with another lane each time.
func (d *Dispatcher) share() *Reservation {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := &Reservation{d: d}
	d.starved = false
	if d.draining {
		return r
	}
	var waiting []*lane
	for i := range d.order {
		if l := d.order[(d.turn+i)%len(d.order)]; !l.empty {
			waiting = append(waiting, l)
		}
	}
	d.turn++
	for i, l := range waiting {
		part := (l.free() + len(waiting) - i - 1) / (len(waiting) - i)
		holds, n := l.take(part)
		if n == 0 {
			d.starved = true
			continue
		}
		// Before the claim is sent: whoever inserts a job from now on sets this
		// back, and its job is not lost between the claim and its answer.
		l.empty = true
		r.add(l, holds, n, false)
	}
	return r
}

// Ride reserves slots for the steps that a transaction makes ready. Its request
// is to be the last statement of that transaction.
func (d *Dispatcher) Ride(jobs []plan.Job) *Reservation {
	r := &Reservation{d: d}
	if len(jobs) == 0 {
		return r
	}
	counts := make(map[plan.Queue]int, 4)
	var order []plan.Queue
	for _, j := range jobs {
		if counts[j.Queue] == 0 {
			order = append(order, j.Queue)
		}
		counts[j.Queue]++
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range order {
		l, served := d.lanes[q]
		if !served {
			continue
		}
		if !l.empty || d.draining {
			r.fed = append(r.fed, l)
			continue
		}
		// One more than was inserted, where slots allow: getting fewer than asked
		// for is what shows that the queue is empty again.
		holds, n := l.take(counts[q] + 1)
		if n == 0 {
			r.fed = append(r.fed, l)
			continue
		}
		r.add(l, holds, n, n <= counts[q])
	}
	return r
}

// Feed is Ride for a transaction that must carry no claim.
func (d *Dispatcher) Feed(jobs []plan.Job) *Reservation {
	r := &Reservation{d: d}
	d.mu.Lock()
	defer d.mu.Unlock()
	seen := map[plan.Queue]bool{}
	for _, j := range jobs {
		if l, served := d.lanes[j.Queue]; served && !seen[j.Queue] {
			seen[j.Queue] = true
			r.fed = append(r.fed, l)
		}
	}
	return r
}

// Done starts the steps that the claim took, now that it has committed, and
// gives back the slots that it did not need.
func (r *Reservation) Done(reply ports.ClaimReply) {
	d := r.d
	type start struct {
		worker *slots
		step   ports.ClaimedStep
	}
	starts := make([]start, 0, len(reply.Steps))
	d.mu.Lock()
	for _, s := range reply.Steps {
		holds := r.holds[s.Queue]
		for i := range holds {
			if holds[i].n > 0 {
				holds[i].n--
				starts = append(starts, start{holds[i].worker, s})
				break
			}
		}
	}
	more := r.settle()
	for i, l := range r.lanes {
		if i < len(reply.Taken) && reply.Taken[i] >= r.Request.Limits[i] || r.full[i] {
			l.empty = false
			more = more || l.free() > 0
			d.starved = d.starved || l.free() == 0
		}
	}
	d.busy += len(starts)
	r.release()
	d.mu.Unlock()
	if more {
		d.signal()
	}
	if len(reply.Steps) > 0 {
		d.observe.Started(reply.Steps)
	}
	for _, s := range starts {
		d.begin(s.worker, s.step)
	}
}

// Abort gives everything back: nothing was claimed, or nobody knows. What was
// to be taken may wait in the queue now.
func (r *Reservation) Abort() {
	r.d.mu.Lock()
	r.settle()
	for _, l := range r.lanes {
		l.empty = false
	}
	r.release()
	r.d.mu.Unlock()
	if len(r.lanes)+len(r.fed) > 0 {
		r.d.signal()
	}
}

// settle gives back unused slots and marks what was fed. It reports whether the
// loop has something to do. The caller holds the lock.
func (r *Reservation) settle() bool {
	freed := false
	for _, holds := range r.holds {
		for i := range holds {
			freed = freed || holds[i].n > 0
			holds[i].worker.free += holds[i].n
			holds[i].n = 0
		}
	}
	for _, l := range r.fed {
		l.empty = false
	}
	return len(r.fed) > 0 || freed && r.d.starved
}

// release ends the reservation. The caller holds the lock.
func (r *Reservation) release() {
	if len(r.lanes) > 0 {
		r.d.finished(1)
	}
}

// begin runs a claimed step. Every step that was claimed is reported on, by its
// runner or here.
func (d *Dispatcher) begin(w *slots, s ports.ClaimedStep) {
	var once sync.Once
	done := func() {
		once.Do(func() {
			d.mu.Lock()
			w.free++
			starved := d.starved
			d.finished(1)
			d.mu.Unlock()
			if starved {
				d.signal()
			}
		})
	}
	a, err := d.describe.Describe(d.lifetime, s)
	if err != nil {
		d.log.Error("cannot describe a claimed step; failing this attempt", "step", s.Ref, "error", err)
		d.results.Report(d.lifetime, step.Result{Ref: s.Ref, Dispatch: s.Dispatch, Failure: &step.Failure{
			Type: step.TypeHandlerError, Retryable: true, Message: "the server could not prepare the step for its handler",
		}})
		done()
		return
	}
	ctx, cancel := context.WithCancelCause(d.lifetime)
	d.mu.Lock()
	mine := &run{dispatch: s.Dispatch, cancel: cancel}
	d.running[s.Ref] = mine
	d.mu.Unlock()
	report := func(r step.Result) {
		d.mu.Lock()
		if d.running[s.Ref] == mine {
			delete(d.running, s.Ref)
		}
		d.mu.Unlock()
		d.results.Report(d.lifetime, r)
		cancel(nil)
	}
	w.runner.Run(ctx, a, report, done)
}
