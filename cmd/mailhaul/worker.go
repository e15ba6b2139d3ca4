package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
)

func newWorkerCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "worker", Short: "Workers: the processes that run passes (needs an owner's token)"}
	cmd.AddCommand(
		simple(g, "list", "List the workers", 0, func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.Workers(cmd.Context())
			if err != nil {
				return err
			}
			return emitList(g, list, workerColumns)
		}),
		simple(g, "drain ID", "Have a worker hand back its passes and take no more, until it is started again", 1,
			func(cmd *cobra.Command, c *client.Client, args []string) error {
				w, err := c.DrainWorker(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				g.say("%s hands back its passes at the end of their windows; once it is drained (mailhaul worker list) it can be ended", w.ID)
				return emitOne(g, w, workerColumns)
			}))
	return cmd
}

var workerColumns = []column[client.Worker]{
	{"ID", func(w client.Worker) string { return w.ID }},
	{"HOST", func(w client.Worker) string { return w.Host }},
	{"PID", func(w client.Worker) string { return number(w.PID) }},
	{"VERSION", func(w client.Worker) string { return w.Version }},
	{"PASSES", func(w client.Worker) string { return fmt.Sprintf("%d/%d", w.Running, w.Concurrency) }},
	{"STATE", func(w client.Worker) string { return w.State }},
	{"SINCE", func(w client.Worker) string { return when(&w.Since) }},
}

// why explains a user: its reasons, each with what to do.
func (g *global) why(w client.Why) error {
	if g.output != "table" {
		if g.output == "json" {
			return g.json(w)
		}
		return emitList(g, w.Reasons, reasonColumns)
	}
	_, _ = fmt.Fprintf(g.out, "%s is %s\n", w.EmailAddress, w.Status)
	for i, r := range w.Reasons {
		_, _ = fmt.Fprintf(g.out, "%d. %s\n   -> %s\n", i+1, until(r), clean(r.Remedy))
	}
	return nil
}

var reasonColumns = []column[client.Reason]{
	{"KIND", func(r client.Reason) string { return r.Kind }},
	{"WHAT", func(r client.Reason) string { return r.What }},
	{"UNTIL", func(r client.Reason) string { return when(r.Until) }},
	{"REMEDY", func(r client.Reason) string { return r.Remedy }},
}

// until is a reason with its end.
func until(r client.Reason) string {
	if r.Until == nil {
		return clean(r.What)
	}
	return clean(r.What) + ", until " + when(r.Until)
}
