// Package app joins the parts into processes: the control plane (NewAPI), a worker
// (NewWorker), and both in one (NewStandalone). It is the only package that knows
// all others, and it decides nothing: it connects what one package asks for with
// what another offers (adapt.go), opens listeners and files, and brings everything
// up and down in the right order.
//
// A worker drains also on an operator's word: then it does the same, but stays, alive
// and not ready, until it is ended.
//
// Every Run(ctx) works until ctx ends, then drains: nothing new is begun, passes
// end at their next window and go on elsewhere, requests under way are answered,
// streams are closed. It returns, with every goroutine ended, in under 25 seconds:
//
//  1. ctx ends: the dispatcher stops; the queue takes no task; Draining is closed.
//  2. Passes end by themselves within 12 s, are cut off then, and have 5 s more to
//     write their results. Leases are renewed until the last has ended.
//  3. Listeners close, then queue, then store.
package app
