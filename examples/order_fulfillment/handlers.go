package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tasker-go/tasker/worker"
)

// order is what a task's context holds. Everything has a default, so that a
// task can be tried with no context at all.
type order struct {
	Number string `json:"order_number"`
	Items  []item `json:"items"`
}

type item struct {
	SKU        string `json:"sku"`
	Quantity   int    `json:"quantity"`
	PriceCents int    `json:"price_cents"`
}

// validated is what validate_order returns to the steps below it.
type validated struct {
	Number     string `json:"order_number"`
	Items      []item `json:"items"`
	TotalCents int    `json:"total_cents"`
}

type reservation struct {
	Warehouse string `json:"warehouse"`
	Lines     int    `json:"lines"`
}

type payment struct {
	Reference string `json:"reference"`
	Cents     int    `json:"cents"`
	Attempts  int    `json:"attempts"`
}

type shipment struct {
	Tracking string `json:"tracking"`
	Carrier  string `json:"carrier"`
}

var handlers = worker.Handlers{
	"orders.validate_order":  worker.Typed(validateOrder),
	"orders.reserve_stock":   worker.Func(reserveStock),
	"orders.charge_payment":  worker.Func(chargePayment),
	"orders.ship_order":      worker.Func(shipOrder),
	"orders.notify_customer": worker.Func(notifyCustomer),
}

// work stands for what a real handler does: it takes a while, and ends early
// when the step is cancelled.
func work(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

func validateOrder(ctx context.Context, o order, s *worker.Step) (validated, error) {
	if err := work(ctx, 300*time.Millisecond); err != nil {
		return validated{}, err
	}
	if o.Number == "" {
		o.Number = "A-" + s.Task.ID[:8]
	}
	if len(o.Items) == 0 {
		o.Items = []item{{SKU: "TEAPOT-1", Quantity: 1, PriceCents: 3900}}
	}
	v := validated{Number: o.Number, Items: o.Items}
	for _, i := range o.Items {
		if i.Quantity <= 0 {
			return validated{}, worker.Permanent(fmt.Errorf("%s: the quantity is %d", i.SKU, i.Quantity))
		}
		v.TotalCents += i.Quantity * i.PriceCents
	}
	return v, nil
}

func reserveStock(ctx context.Context, s *worker.Step) (any, error) {
	o, err := worker.ResultOf[validated](ctx, s, "validate_order")
	if err != nil {
		return nil, err
	}
	return reservation{Warehouse: "north", Lines: len(o.Items)}, work(ctx, 500*time.Millisecond)
}

var errTimeout = errors.New("the payment provider did not answer")

// chargePayment fails the first time, as payment providers do. The next attempt
// uses the same key, so that a provider could tell that it is the same charge.
func chargePayment(ctx context.Context, s *worker.Step) (any, error) {
	o, err := worker.ResultOf[validated](ctx, s, "validate_order")
	if err != nil {
		return nil, err
	}
	if err := work(ctx, 300*time.Millisecond); err != nil {
		return nil, err
	}
	if s.Attempt == 1 {
		return nil, &worker.Error{Err: errTimeout, Type: "payment_timeout", StatusCode: 504}
	}
	return payment{Reference: "pay-" + s.Key()[:8], Cents: o.TotalCents, Attempts: s.Attempt}, nil
}

func shipOrder(ctx context.Context, s *worker.Step) (any, error) {
	if _, err := worker.ResultOf[payment](ctx, s, "charge_payment"); err != nil {
		return nil, err
	}
	from, err := worker.ResultOf[reservation](ctx, s, "reserve_stock")
	if err != nil {
		return nil, err
	}
	return shipment{Tracking: "TRK-" + s.Key()[:8], Carrier: from.Warehouse + " courier"}, work(ctx, 400*time.Millisecond)
}

// notifyCustomer reads the result of a step further up: it is fetched when it
// did not come along.
func notifyCustomer(ctx context.Context, s *worker.Step) (any, error) {
	o, err := worker.ResultOf[validated](ctx, s, "validate_order")
	if err != nil {
		return nil, err
	}
	parcel, err := worker.ResultOf[shipment](ctx, s, "ship_order")
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf("Order %s is on its way: %s.", o.Number, parcel.Tracking)
	return map[string]string{"message": text}, work(ctx, 200*time.Millisecond)
}
