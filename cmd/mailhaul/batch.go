package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func newBatchCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "batch", Short: "Batches: sets of mailboxes that move together"}
	cmd.AddCommand(newBatchCreate(g),
		simple(g, "list", "List batches", 0, func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.Batches(cmd.Context())
			if err != nil {
				return err
			}
			return emitList(g, list, batchColumns[:8])
		}),
		simple(g, "get NAME", "Show a batch", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			return g.emitBatch(c.Batch(cmd.Context(), args[0]))
		}))
	for _, v := range [][2]string{
		{"start", "Start or resume a batch, and retry its failed users"},
		{"stop", "Stop a batch; passes under way end at their next window"},
	} {
		cmd.AddCommand(simple(g, v[0]+" NAME", v[1], 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			return g.emitBatch(c.Do(cmd.Context(), args[0], v[0]))
		}))
	}
	cmd.AddCommand(newBatchNow(g, "sync", "Sync all users now", "in step", "mailhaul batch watch", lastSyncs),
		newBatchNow(g, "verify", "Compare both sides of every synced user; see report receipts", "the same on both sides", "mailhaul report receipts", receipts),
		newBatchPreflight(g), newBatchComplete(g), newBatchReverse(g), newBatchWatch(g), newBatchWait(g), newBatchDelete(g), newBatchAddUsers(g), newBatchMails(g),
		newBatchSet(g))
	return cmd
}

var batchColumns = []column[client.Batch]{
	{"NAME", func(b client.Batch) string { return b.Name }},
	{"STATUS", func(b client.Batch) string { return b.Status }},
	{"USERS", func(b client.Batch) string { return number(b.Counts["total"]) }},
	{"SYNCED", func(b client.Batch) string { return number(inStep(b)) }},
	{"FAILED", func(b client.Batch) string { return number(b.Counts["failed"] + b.Counts["needsCredentials"]) }},
	{"COPIED", func(b client.Batch) string { return number(b.Messages.Copied) }},
	{"SKIPPED", func(b client.Batch) string { return number(b.Messages.Skipped + b.Messages.Failed) }},
	{"BYTES", func(b client.Batch) string { return size(b.Bytes.Copied) }},
	{"SOURCE", func(b client.Batch) string { return b.SourceEndpoint }},
	{"TARGET", func(b client.Batch) string { return b.TargetEndpoint }},
	{"SEEN", func(b client.Batch) string { return number(b.Messages.Seen) }},
	{"UNCHANGED", func(b client.Batch) string { return number(b.Messages.Unchanged) }},
	{"ADOPTED", func(b client.Batch) string { return number(b.Messages.Adopted) }},
	{"RESYNC INTERVAL", func(b client.Batch) string { return b.ResyncInterval }},
	{"NEWEST FIRST", func(b client.Batch) string {
		if !b.NewestFirst {
			return ""
		}
		return "yes"
	}},
	{"DELETIONS", func(b client.Batch) string { return b.Deletions }},
	{"EXCLUDED", func(b client.Batch) string { return strings.Join(b.ExcludeFolders, " ") }},
	{"MAPPED", func(b client.Batch) string {
		var out []string
		for _, r := range b.MapFolders {
			out = append(out, migration.FolderRule(r).String())
		}
		return strings.Join(out, " ")
	}},
	{"NOTIFY", func(b client.Batch) string { return strings.Join(b.Notify, " ") }},
	{"INCLUDED", func(b client.Batch) string { return strings.Join(b.IncludeFolders, " ") }},
	{"MAIL SINCE", func(b client.Batch) string { return when(b.Since) }},
	{"MAIL BEFORE", func(b client.Batch) string { return when(b.Before) }},
	{"LARGEST", func(b client.Batch) string {
		if b.MaxMessageSize == 0 {
			return ""
		}
		return size(b.MaxMessageSize)
	}},
	{"BAD ITEM LIMIT", func(b client.Batch) string {
		if b.BadItemLimit == nil {
			return ""
		}
		return number(*b.BadItemLimit)
	}},
	{"CREATED", func(b client.Batch) string { return when(&b.CreatedAt) }},
	{"STARTED", func(b client.Batch) string { return when(b.StartedAt) }},
	{"STARTS AT", func(b client.Batch) string {
		if b.StartedAt != nil {
			return ""
		}
		return when(b.StartAt)
	}},
	{"COMPLETES AT", func(b client.Batch) string { return when(b.CompleteAt) }},
	{"LAST SYNCED", func(b client.Batch) string { return when(b.LastSyncedAt) }},
	{"TIME LEFT", timeLeft},
}

// inStep counts the users whose latest sync ended well. Once the batch is synced, those
// who are due again or wait are among them.
func inStep(b client.Batch) int {
	n := b.Counts["synced"] + b.Counts["incrementalSyncing"] + b.Counts["completed"] + b.Counts["completedWithWarnings"]
	switch migration.BatchStatus(b.Status) {
	case migration.BatchSynced, migration.BatchSyncedWithErrors:
		n += b.Counts["queued"] + b.Counts["waiting"]
	}
	return n
}

func timeLeft(b client.Batch) string {
	if b.ETASeconds == nil {
		return ""
	}
	return (time.Duration(*b.ETASeconds) * time.Second).String()
}

func (g *global) emitBatch(b client.Batch, err error) error {
	if err != nil {
		return err
	}
	return emitOne(g, b, batchColumns)
}

func newBatchComplete(g *global) *cobra.Command {
	var at string
	cmd := &cobra.Command{Use: "complete NAME", Short: "Sync a last time, then no more", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&at, "at", "", "at a time, such as 2026-05-01T22:00:00Z")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		t, err := parseTime("--at", at)
		if err != nil {
			return err
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		return g.emitBatch(c.CompleteBatch(cmd.Context(), args[0], t))
	}
	return cmd
}

func newBatchReverse(g *global) *cobra.Command {
	var name string
	cmd := &cobra.Command{Use: "reverse NAME", Short: "Make a batch that moves the mailboxes back, of one that is completed or stopped; it is not started", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&name, "name", "", "name of the new batch (default: NAME-back)")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.client()
		if err != nil {
			return err
		}
		g.goesOn = "The new batch is made whole or not at all: see mailhaul batch list."
		return g.emitBatch(c.ReverseBatch(cmd.Context(), args[0], name))
	}
	return cmd
}

// pause waits until it is time to look again.
func (g *global) pause(ctx context.Context) error { return g.pauseFor(ctx, g.every) }

func (g *global) pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
