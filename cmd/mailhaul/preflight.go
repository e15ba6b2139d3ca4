package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// preflightPage is how many users are asked for at a time.
const preflightPage = 500

func newBatchPreflight(g *global) *cobra.Command {
	var noWait, show bool
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "preflight NAME", Short: "Look at both sides of every user before anything is copied, and estimate how long the batch takes", Args: cobra.ExactArgs(1),
		Long: "Look at both sides of every user before anything is copied: logins, folders, sizes, the target's limits and room, names. Nothing is changed anywhere. " +
			"It is for a batch that is not started, or stopped; a start goes before it.\n\nExit code 0: all users are ready; 3: with findings, or not all were looked at; 1: none can be moved.",
	}
	cmd.Flags().BoolVar(&noWait, "no-wait", false, "only ask for it; --show tells later what it found")
	cmd.Flags().BoolVar(&show, "show", false, "only tell what the latest one found, and what the pilot recommends")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "tell what is known after this time; 0: when all were looked at")
	cmd.MarkFlagsMutuallyExclusive("no-wait", "show")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.client()
		if err != nil {
			return err
		}
		ctx, name := cmd.Context(), args[0]
		if !show {
			b, err := c.Do(ctx, name, "preflight")
			if err != nil || noWait {
				return g.emitBatch(b, err)
			}
			g.goesOn = "The preflight goes on: see mailhaul batch preflight " + name + " --show."
			if err := g.awaitPreflight(ctx, c, name, timeout); err != nil {
				return err
			}
		}
		p, err := wholePreflight(ctx, c, name)
		if err != nil {
			return err
		}
		if err := g.emitPreflight(p); err != nil {
			return err
		}
		if show && p.Checked == 0 {
			g.say("nobody of batch %s has been looked at", name)
			return nil
		}
		return judgePreflight(name, p)
	}
	return cmd
}

// quietLooks is after how many looks without news it is told why it may take long.
const quietLooks = 20

// awaitPreflight waits until nobody's preflight is left, or the time is up.
func (g *global) awaitPreflight(ctx context.Context, c *client.Client, name string, timeout time.Duration) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeUp)
		defer cancel()
	}
	shown := g.gauge("looked at", ofUsers, "")
	defer shown.end()
	total, left, quiet := 0, -1, 0
	for {
		p, err := c.Preflight(ctx, name, "", 1)
		switch {
		case errors.Is(context.Cause(ctx), errTimeUp):
			g.say("not all were looked at within %s; the rest goes on", timeout)
			return nil
		case err != nil && !errors.Is(err, client.ErrUnreachable):
			return err
		case err == nil && p.Left != left:
			total, left, quiet = max(total, min(p.Users, p.Checked+p.Left)), p.Left, 0
		default:
			quiet++
		}
		shown.set(int64(total-left), int64(total))
		if err == nil && p.Left == 0 {
			return nil
		}
		if quiet == quietLooks {
			g.say("%d users wait; mailhaul top and mailhaul user why EMAIL --batch %s tell what for", p.Left, name)
		}
		if err := g.pause(ctx); err != nil && !errors.Is(context.Cause(ctx), errTimeUp) {
			return err
		}
	}
}

// wholePreflight is what was found, with all users.
func wholePreflight(ctx context.Context, c *client.Client, name string) (client.Preflight, error) {
	p, err := c.Preflight(ctx, name, "", preflightPage)
	for err == nil && p.NextCursor != "" {
		var more client.Preflight
		more, err = c.Preflight(ctx, name, p.NextCursor, preflightPage)
		p.Items, p.NextCursor = append(p.Items, more.Items...), more.NextCursor
	}
	return p, err
}

// judgePreflight is the exit code.
func judgePreflight(name string, p client.Preflight) error {
	switch {
	case p.Checked > 0 && p.Failing == p.Checked:
		return &exitError{exitFailed, fmt.Errorf("batch %s: none of the %d users looked at can be moved as things are", name, p.Checked)}
	case p.Failing+p.Warnings > 0 || p.Checked < p.Users:
		return &exitError{exitExceptions, fmt.Errorf("batch %s: of %d users %d are ready, %d with warnings, %d failing, %d not looked at",
			name, p.Users, p.Ready, p.Warnings, p.Failing, max(0, p.Users-p.Checked))}
	}
	return nil
}

// foundRow is one finding of one user.
type foundRow struct {
	EmailAddress string `json:"emailAddress"`
	client.Finding
	of client.UserPreflight
}

var foundColumns = []column[foundRow]{
	{"USER", func(r foundRow) string { return r.EmailAddress }},
	{"MESSAGES", func(r foundRow) string { return number(r.of.Messages) }},
	{"SIZE", func(r foundRow) string { return size(r.of.Bytes) }},
	{"LARGEST", func(r foundRow) string { return size(r.of.LargestSize) }},
	{"LEVEL", func(r foundRow) string { return r.Level }},
	{"FINDING", func(r foundRow) string { return r.Code }},
	{"WHAT", func(r foundRow) string { return r.What }},
}

// emitPreflight writes what was found: whole as JSON, a row a finding as CSV and in a
// table, which leaves notes out and ends with remedies, estimate and advice.
func (g *global) emitPreflight(p client.Preflight) error {
	if g.output == "json" {
		return g.json(p)
	}
	var rows []foundRow
	for _, u := range p.Items {
		for _, f := range u.Findings {
			if g.output != "table" || f.Level != "note" {
				rows = append(rows, foundRow{u.EmailAddress, f, u})
			}
		}
	}
	if g.output != "table" || len(rows) > 0 {
		if err := emitList(g, rows, foundColumns); err != nil || g.output != "table" {
			return err
		}
	}
	for _, text := range preflightWords(p) {
		if _, err := fmt.Fprintln(g.out, text); err != nil {
			return err
		}
	}
	return nil
}

// preflightWords are what a table ends with.
func preflightWords(p client.Preflight) []string {
	out := []string{fmt.Sprintf("%d of %d users looked at: %d ready, %d with warnings, %d failing. %d folders, %d messages, %s.",
		p.Checked, p.Users, p.Ready, p.Warnings, p.Failing, p.Folders, p.Messages, size(p.Bytes))}
	for _, f := range p.Findings {
		out = append(out, fmt.Sprintf("%s (%s, users: %d): %s", f.Code, f.Level, f.Users, f.Remedy))
	}
	for _, f := range p.Endpoints {
		out = append(out, fmt.Sprintf("%s: %s.", f.Level, f.What))
	}
	if e := p.Estimate; e != nil {
		out = append(out, "Estimate: "+estimateWords(*e))
	}
	if x := p.Pilot; x != nil {
		out = append(out, fmt.Sprintf("Pilot %s: %d mailboxes in step in %s, %.1f at once; each %.1f messages and %s a second.",
			x.Batch, x.Mailboxes, span(x.Seconds), x.Concurrency, x.MessagesPerSecond, size(int64(x.BytesPerSecond))))
		if a := x.Advice; a != nil {
			out = append(out, fmt.Sprintf("Recommended after it: --max-concurrent-migrations %d, batches of up to %d mailboxes, because %s.",
				a.MaxConcurrentMigrations, a.BatchSize, strings.Join(a.Because, "; ")))
		}
	}
	return out
}

func estimateWords(e client.Estimate) string {
	text := fmt.Sprintf("%s to %s, bound by %s", span(e.FromSeconds), span(e.ToSeconds), e.Bound)
	switch {
	case e.Basis != "pilot":
		return text + ". This is a guess from conservative figures: no batch between these endpoints has synced yet."
	case !e.Comparable:
		return text + ", as measured with " + e.Pilot + ", whose mailboxes are of another size: take it with care."
	}
	return text + ", as measured with " + e.Pilot + "."
}

// span spells seconds for people.
func span(seconds int64) string {
	d := time.Duration(seconds) * time.Second
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1f days", d.Hours()/24)
	case d >= time.Hour:
		return d.Round(time.Minute).String()
	}
	return d.String()
}
