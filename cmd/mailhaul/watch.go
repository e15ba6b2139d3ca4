package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func newBatchWatch(g *global) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use: "watch NAME", Short: "Show a batch's progress live, until its users are in step", Args: cobra.ExactArgs(1),
		Long: "Show a batch's progress live, until its users are in step and the syncs that were asked for or ran at the beginning have ended.",
	}
	cmd.Flags().BoolVar(&follow, "follow", false, "go on through the resyncs, until interrupted")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.client()
		if err != nil {
			return err
		}
		g.goesOn = "The batch goes on: see mailhaul batch get " + args[0] + "."
		show := g.lines()
		if g.output == "table" && terminal(g.out) {
			show = g.bars(cmd.Context())
		}
		b, err := g.look(cmd.Context(), c, args[0], func(b client.Batch) bool {
			show.batch(b)
			_, ended := outcome(b, "")
			return ended && !follow
		})
		show.end()
		if err != nil {
			return err
		}
		code, _ := outcome(b, "")
		return ended(b, code)
	}
	return cmd
}

func newBatchWait(g *global) *cobra.Command {
	var until string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use: "wait NAME", Short: "Wait until a batch is synced or completed", Args: cobra.ExactArgs(1),
		Long: "Wait until a batch is synced or completed, and the syncs that were asked for or ran at the beginning have ended.\n\nExit code 0: in step; 3: with users failed or items skipped; 1: failed, stopped, or the time is up.",
	}
	cmd.Flags().StringVar(&until, "for", "Synced", "Synced or Completed")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "give up after this time; 0: never")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if until != string(migration.BatchSynced) && until != string(migration.BatchCompleted) {
			return usageError(errors.New("--for is Synced or Completed"))
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		g.goesOn = "The batch goes on: see mailhaul batch get " + args[0] + "."
		ctx := cmd.Context()
		if timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeoutCause(ctx, timeout, errTimeUp)
			defer cancel()
		}
		b, err := g.look(ctx, c, args[0], func(b client.Batch) bool {
			_, ended := outcome(b, until)
			return ended
		})
		if errors.Is(err, errTimeUp) || errors.Is(context.Cause(ctx), errTimeUp) {
			return &exitError{exitFailed, fmt.Errorf("batch %s is not %s after %s", args[0], until, timeout)}
		}
		if err != nil {
			return err
		}
		if err := g.emitBatch(b, nil); err != nil {
			return err
		}
		code, _ := outcome(b, until)
		return ended(b, code)
	}
	return cmd
}

var errTimeUp = errors.New("the time is up")

// look looks at a batch again and again until enough says so, and whoever was due for
// a sync has had it. A break of the connection is waited out.
func (g *global) look(ctx context.Context, c *client.Client, name string, enough func(client.Batch) bool) (client.Batch, error) {
	reached := false
	var asked resyncs
	for {
		b, err := c.Batch(ctx, name)
		if err == nil {
			reached = true
			if enough(b) {
				var over bool
				if over, err = asked.over(ctx, c, b); over {
					return b, nil
				}
			}
		}
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return b, context.Cause(ctx)
		case !reached || !errors.Is(err, client.ErrUnreachable):
			return b, err
		}
		if err := g.pause(ctx); err != nil {
			return b, err
		}
	}
}

// outcome says whether a batch has come to rest, and the exit code that this makes.
// until is the status that is waited for, "" for any.
func outcome(b client.Batch, until string) (code int, ended bool) {
	waitsForEnd := until == string(migration.BatchCompleted)
	switch migration.BatchStatus(b.Status) {
	case migration.BatchFailed, migration.BatchStopped, migration.BatchRemoving:
		return exitFailed, true
	case migration.BatchCompletedWithErrors:
		return exitExceptions, true
	case migration.BatchSyncedWithErrors:
		return exitExceptions, !waitsForEnd
	case migration.BatchSynced:
		return skipped(b), !waitsForEnd
	case migration.BatchCompleted:
		return skipped(b), true
	}
	return exitDone, false
}

func skipped(b client.Batch) int {
	if b.Messages.Skipped+b.Messages.Failed > 0 {
		return exitExceptions
	}
	return exitDone
}

func ended(b client.Batch, code int) error {
	switch {
	case code == exitDone:
		return nil
	case migration.BatchStatus(b.Status) == migration.BatchStopped:
		return &exitError{code, fmt.Errorf("batch %s is stopped", b.Name)}
	case code == exitExceptions:
		return &exitError{code, fmt.Errorf("batch %s is %s: users failed: %d, messages skipped or failed: %d (mailhaul user list --batch %s)",
			b.Name, b.Status, b.Counts["failed"]+b.Counts["needsCredentials"], b.Messages.Skipped+b.Messages.Failed, b.Name)}
	}
	return &exitError{code, fmt.Errorf("batch %s is %s", b.Name, b.Status)}
}

// display shows a batch as it goes.
type display struct {
	batch func(client.Batch)
	end   func()
}

// lines writes a line for every change, or an object with --output json or ndjson.
func (g *global) lines() display {
	before := ""
	return display{end: func() {}, batch: func(b client.Batch) {
		text := progress(b)
		if g.output == "json" || g.output == "ndjson" {
			b.BytesPerSecond, b.ETASeconds = nil, nil // they change without anything happening
			object, _ := json.Marshal(b)
			text = string(object)
		}
		if text != before {
			_, _ = fmt.Fprintln(g.out, text)
		}
		before = text
	}}
}

func progress(b client.Batch) string {
	text := fmt.Sprintf("%s: %d/%d users in step, %d failed; %d messages copied, %d adopted, %d skipped; %s of %s",
		b.Status, inStep(b), b.Counts["total"], b.Counts["failed"]+b.Counts["needsCredentials"],
		b.Messages.Copied, b.Messages.Adopted, b.Messages.Skipped+b.Messages.Failed, size(b.Bytes.Copied), size(b.Bytes.Total))
	if left := timeLeft(b); left != "" {
		text += ", " + left + " left"
	}
	return text
}

// bars draws a bar for the users and one for the bytes.
func (g *global) bars(ctx context.Context) display {
	p := mpb.NewWithContext(ctx, mpb.WithOutput(g.out), mpb.WithWidth(48))
	// mpb reads these from its own goroutine: they travel in a channel of one.
	state := make(chan client.Batch, 1)
	state <- client.Batch{}
	now := func() client.Batch {
		b := <-state
		state <- b
		return b
	}
	label := func(f func(client.Batch) string) decor.Decorator {
		return decor.Any(func(decor.Statistics) string { return f(now()) }, decor.WC{W: 27, C: decor.DindentRight})
	}
	// Of a bar that begins with a total mpb takes no other later.
	users := p.AddBar(0, mpb.PrependDecorators(label(func(b client.Batch) string { return fmt.Sprintf("%-20s users", b.Status) })),
		mpb.AppendDecorators(label(func(b client.Batch) string {
			return fmt.Sprintf("%d/%d, %d failed", inStep(b), b.Counts["total"], b.Counts["failed"]+b.Counts["needsCredentials"])
		})))
	bytes := p.AddBar(0, mpb.PrependDecorators(label(func(client.Batch) string { return fmt.Sprintf("%-20s bytes", "") })),
		mpb.AppendDecorators(label(func(b client.Batch) string {
			text := fmt.Sprintf("%s of %s, %d messages", size(b.Bytes.Copied), size(b.Bytes.Total), b.Messages.Copied+b.Messages.Adopted)
			if left := timeLeft(b); left != "" {
				text += ", " + left + " left"
			}
			return text
		})))
	seen := false
	return display{
		batch: func(b client.Batch) {
			seen = true
			<-state
			state <- b
			// A bar that is not to be completed stays when it is full: mail may still come.
			users.SetTotal(int64(b.Counts["total"]), false)
			users.SetCurrent(int64(inStep(b)))
			bytes.SetTotal(b.Bytes.Total, false)
			bytes.SetCurrent(b.Bytes.Copied)
		},
		end: func() {
			users.Abort(!seen) // as it stands, unless there is nothing to show
			bytes.Abort(!seen)
			p.Wait()
			if seen {
				_, _ = fmt.Fprintln(g.out, progress(now()))
			}
		},
	}
}
