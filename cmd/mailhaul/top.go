package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// clearScreen takes the cursor home and wipes what is below.
const clearScreen = "\x1b[H\x1b[2J"

func newTopCommand(g *global) *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use: "top", Short: "Show live who works, who waits and why", Args: cobra.NoArgs,
		Long: "Show live who works, who waits and why: workers (with an owner's token), endpoints with their slots (\"3/10 (now 5)\": 3 of 10 in use, of which 5 are given " +
			"for now because the server asked for time) and what keeps others there, rates, and how long it takes until all that are due have had their pass. Every two seconds, until interrupted.",
	}
	cmd.Flags().BoolVar(&once, "once", false, "look once (the rates are of a second) and end")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.client()
		if err != nil {
			return err
		}
		return g.top(cmd.Context(), c, once)
	}
	return cmd
}

// fleet is a look with the rates since the one before.
type fleet struct {
	client.Fleet
	MessagesPerSecond float64 `json:"messagesPerSecond"`
	BytesPerSecond    float64 `json:"bytesPerSecond"`
}

func (g *global) top(ctx context.Context, c *client.Client, once bool) error {
	before, err := c.Fleet(ctx)
	if err != nil {
		return err
	}
	live := g.output == "table" && terminal(g.out) && !once
	resized := make(chan os.Signal, 1)
	if live {
		signal.Notify(resized, syscall.SIGWINCH)
		defer signal.Stop(resized)
	}
	last := fleet{Fleet: before}
	show := func() error { return g.showFleet(last, live, once) }
	if !once {
		if err := show(); err != nil {
			return err
		}
	}
	for {
		if err := g.wait(ctx, once, resized, show); err != nil {
			return err
		}
		now, err := c.Fleet(ctx)
		switch {
		case errors.Is(err, client.ErrUnreachable) && ctx.Err() == nil && !once:
			g.say("the API cannot be reached; trying again: %v", err)
			continue
		case err != nil:
			return err
		}
		last = rated(before, now)
		if err := show(); err != nil || once {
			return err
		}
		before = now
	}
}

// wait is two seconds between two looks, and a little more than one, after which the
// API looks anew, for the only one. A terminal that is resized meanwhile is shown the
// last look again.
func (g *global) wait(ctx context.Context, once bool, resized <-chan os.Signal, show func() error) error {
	pause := 2 * g.every
	if once {
		pause = g.every + g.every/10
	}
	for over := time.After(pause); ; {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-over:
			return nil
		case <-resized:
			if err := show(); err != nil {
				return err
			}
		}
	}
}

// rated adds the rates between two looks. A counter that began anew makes none.
func rated(before, now client.Fleet) fleet {
	f := fleet{Fleet: now}
	elapsed := now.At.Sub(before.At).Seconds()
	if elapsed <= 0 || now.Copied.Messages < before.Copied.Messages || now.Copied.Bytes < before.Copied.Bytes {
		return f
	}
	f.MessagesPerSecond = float64(now.Copied.Messages-before.Copied.Messages) / elapsed
	f.BytesPerSecond = float64(now.Copied.Bytes-before.Copied.Bytes) / elapsed
	return f
}

func (g *global) showFleet(f fleet, live, once bool) error {
	switch {
	case g.output == "csv":
		return emitList(g, f.Endpoints, fleetColumns)
	case g.output == "json" && once:
		return g.json(f)
	case g.output != "table":
		return json.NewEncoder(g.out).Encode(f)
	}
	var page strings.Builder
	writeFleet(&page, f)
	text := page.String()
	switch {
	case live:
		columns, lines := g.window()
		text = clearScreen + fit(text, columns, lines)
	case !once:
		text += "\n"
	}
	_, err := fmt.Fprint(g.out, text)
	return err
}

func writeFleet(page *strings.Builder, f fleet) {
	left := "not known"
	if f.ETASeconds != nil {
		left = (time.Duration(*f.ETASeconds) * time.Second).String()
	}
	fmt.Fprintf(page, "%s  %.0f messages/s, %s/s; due: %s; until they have had their pass: %s\n\n",
		when(&f.At), f.MessagesPerSecond, size(int64(f.BytesPerSecond)), kinds(f.Due), left)
	w := tabwriter.NewWriter(page, 0, 0, 2, ' ', 0)
	if f.Workers != nil {
		running, slots := 0, 0
		line(w, workerColumns, func(c column[client.Worker]) string { return c.title })
		for _, one := range f.Workers {
			line(w, workerColumns, func(c column[client.Worker]) string { return clean(c.of(one)) })
			running += one.Running
			if one.State == string(migration.WorkerRunning) {
				slots += one.Concurrency
			}
		}
		_ = w.Flush() // into memory
		fmt.Fprintf(page, "%d workers, %d passes, room for %d\n\n", len(f.Workers), running, slots)
	}
	line(w, fleetColumns, func(c column[client.FleetAt]) string { return c.title })
	for _, e := range f.Endpoints {
		line(w, fleetColumns, func(c column[client.FleetAt]) string { return clean(c.of(e)) })
	}
	_ = w.Flush()
}

var fleetColumns = []column[client.FleetAt]{
	{"ENDPOINT", func(e client.FleetAt) string { return e.Name }},
	{"SLOTS", func(e client.FleetAt) string {
		text := fmt.Sprintf("%d/%d", sum(e.InUse), e.Limit)
		if 0 < e.WorkingLimit && e.WorkingLimit < e.Limit {
			text += fmt.Sprintf(" (now %d)", e.WorkingLimit)
		}
		return text
	}},
	{"RESYNCS", func(e client.FleetAt) string { return fmt.Sprintf("%d/%d", e.InUse["resync"], e.ResyncLimit) }},
	{"IN USE", func(e client.FleetAt) string { return kinds(e.InUse) }},
	{"DUE", func(e client.FleetAt) string { return kinds(e.Due) }},
	{"WHY OTHERS WAIT", func(e client.FleetAt) string {
		var out []string
		for _, r := range e.Waits {
			out = append(out, until(r))
		}
		return strings.Join(out, "; ")
	}},
}

func sum(of map[string]int) int {
	n := 0
	for _, v := range of {
		n += v
	}
	return n
}

// kinds spells numbers by kind of pass.
func kinds(of map[string]int) string {
	var out []string
	for _, k := range migration.PassKinds {
		if n := of[string(k)]; n > 0 {
			out = append(out, fmt.Sprintf("%d %s", n, k))
		}
	}
	if out == nil {
		return "none"
	}
	return strings.Join(out, ", ")
}

// clean makes strangers' words fit for a terminal.
func clean(s string) string { return migration.Clean(s) }
