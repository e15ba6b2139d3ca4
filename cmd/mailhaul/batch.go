package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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

// What --since and --before say, of a batch and of a pair.
const (
	sinceHelp  = "only messages received from this day or time on, such as 2024-01-31 (from its beginning, UTC) or 2024-01-31T22:00:00Z"
	beforeHelp = "only messages received before this day or time"
)

// mapFolderHelp is what --map-folder says, of a batch and of a pair.
const mapFolderHelp = `where a source folder goes, as FROM=TO: "Old Stuff=Archive/Old", all below one "Projects/*=Work/*", of a role "Gesendet=#Sent#"; the first rule that matches counts, folders that were begun stay where they are`

// folderRules is --map-folder; an empty value takes away those before it.
type folderRules[R migration.FolderRule | client.FolderRule] struct{ to *[]R }

func (f *folderRules[R]) Type() string { return "FROM=TO" }

func (f *folderRules[R]) String() string { return "" }

func (f *folderRules[R]) Set(text string) error {
	if text == "" {
		*f.to = []R{}
		return nil
	}
	r, err := migration.ParseFolderRule(text)
	*f.to = append(*f.to, R(r))
	return err
}

const deletionsHelp = "what becomes of copies whose messages are deleted at the source: keep, or mirror, which deletes them"

// anyNumber is no --bad-item-limit.
const (
	anyNumber    = -1
	maxSizeHelp  = "skip messages larger than this, in bytes, such as 25M; 0: the target's own limit"
	badItemsHelp = "how many messages of one user may be skipped before it is Failed (TooManyBadItems); -1: any number"
)

// csvFlags are those of a CSV file.
type csvFlags struct {
	file, encoding string
	anyColumns     bool
}

func (f *csvFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.file, "csv", "", "CSV file with EmailAddress,UserName,Password and, where wanted, TargetUserName,TargetPassword,UserRoot,TargetRoot; - for stdin")
	cmd.Flags().StringVar(&f.encoding, "encoding", "", "the file's encoding, where it is not UTF-8: a name such as gb18030, windows-1252, big5, shift_jis")
	cmd.Flags().BoolVar(&f.anyColumns, "allow-unknown-columns", false, "pass over columns that are not known")
}

// maxFile is more than the API takes: it tells what is wrong with a larger file.
const maxFile = 16 << 20

func (g *global) csv(f csvFlags) (name string, content []byte, err error) {
	if f.file == "" {
		return "", nil, usageError(errors.New("--csv names no file"))
	}
	if f.file == "-" {
		content, err = io.ReadAll(io.LimitReader(g.in, maxFile))
		return "", content, usageError(err)
	}
	in, err := os.Open(f.file)
	if err != nil {
		return "", nil, usageError(err)
	}
	defer func() { _ = in.Close() }()
	content, err = io.ReadAll(io.LimitReader(in, maxFile))
	return filepath.Base(f.file), content, usageError(err)
}

// wholeOrNot is told of an import that is interrupted.
const wholeOrNot = "The file is stored whole or not at all: see "

// longFile is from where on an upload is shown.
const longFile = 256 << 10

// sending is c showing how much of a file is sent. What comes after that, the file's
// check and its import in one transaction, has no measure of its own: the time goes on.
func (g *global) sending(c *client.Client, file []byte) (shown *client.Client, done func()) {
	if len(file) < longFile {
		return c, func() {}
	}
	sent := g.gauge("sent", ofBytes, "being checked and stored")
	return c.Sending(sent.set), sent.end
}

func newBatchCreate(g *global) *cobra.Command {
	var spec client.BatchSpec
	var f csvFlags
	var startAt string
	var dryRun bool
	var limit int64
	cmd := &cobra.Command{Use: "create [NAME] --csv FILE --source ENDPOINT --target ENDPOINT", Short: "Make a batch from a CSV file", Args: cobra.MaximumNArgs(1)}
	f.add(cmd)
	fl := cmd.Flags()
	addSpec(fl, &spec)
	fl.StringVar(&startAt, "start-at", "", "start at a time, such as 2026-05-01T22:00:00Z")
	fl.Int64Var(&limit, "bad-item-limit", anyNumber, badItemsHelp)
	fl.BoolVar(&dryRun, "dry-run", false, "check the file, store nothing")
	cmd.MarkFlagsMutuallyExclusive("autostart", "start-at")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 0:
			spec.Name = args[0]
		case f.file == "-":
			return usageError(errors.New("a batch from stdin has no file to be named after: give a NAME"))
		}
		spec.Encoding, spec.AllowUnknownColumns = f.encoding, f.anyColumns
		if limit != anyNumber {
			spec.BadItemLimit = &limit
		}
		var err error
		if spec.StartAt, err = parseTime("--start-at", startAt); err != nil {
			return err
		}
		fileName, content, err := g.csv(f)
		if err != nil {
			return err
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		c, done := g.sending(c, content)
		if !dryRun {
			g.goesOn = wholeOrNot + "mailhaul batch list."
			b, err := c.CreateBatch(cmd.Context(), spec, fileName, content)
			done()
			return g.emitBatch(b, err)
		}
		res, err := c.CheckBatch(cmd.Context(), spec, fileName, content)
		done()
		if err != nil {
			return err
		}
		g.say("nothing is wrong with the file; nothing was stored")
		for _, w := range res.Warnings {
			g.say("warning: %s", w)
		}
		return emitOne(g, res, []column[client.DryRun]{
			{"NAME", func(d client.DryRun) string { return d.Name }},
			{"MAILBOXES", func(d client.DryRun) string { return number(d.Mailboxes) }},
		})
	}
	return cmd
}

// addSpec are the flags whose value is the spec's as it is.
func addSpec(fl *pflag.FlagSet, spec *client.BatchSpec) {
	fl.StringVar(&spec.Type, "type", "imap", "imap; of staged and crossTenant the file can be checked (--dry-run), they cannot be run yet")
	fl.StringVar(&spec.SourceEndpoint, "source", "", "source endpoint")
	fl.StringVar(&spec.TargetEndpoint, "target", "", "target endpoint")
	fl.BoolVar(&spec.AutoStart, "autostart", false, "start at once")
	fl.StringArrayVar(&spec.ExcludeFolders, "exclude", nil, "folder to leave out: name, glob or token such as #Junk# (repeatable)")
	fl.StringArrayVar(&spec.IncludeFolders, "include", nil, "only this folder (repeatable)")
	fl.Var(&folderRules[client.FolderRule]{to: &spec.MapFolders}, "map-folder", mapFolderHelp+" (repeatable)")
	fl.StringVar(&spec.Since, "since", "", sinceHelp)
	fl.StringVar(&spec.Before, "before", "", beforeHelp)
	fl.Var(bytesFlag{&spec.MaxMessageSize}, "max-message-size", maxSizeHelp)
	fl.StringVar(&spec.Deletions, "deletions", "", deletionsHelp+" (default keep)")
	fl.StringVar(&spec.ResyncInterval, "resync-interval", "", "between two syncs of a user, such as 24h, the service's default where it was not set otherwise")
	fl.StringArrayVar(&spec.Notify, "notify", nil, "mail address for the reports: when the batch is in step, and when it is completed (repeatable)")
	fl.BoolVar(&spec.NewestFirst, "newest-first", false, "copy a folder's newest messages first")
}

func parseTime(flag, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usageError(fmt.Errorf("%s: a time such as 2026-05-01T22:00:00Z is expected", flag))
	}
	return &t, nil
}

func newBatchSet(g *global) *cobra.Command {
	var exclude, include, notify []string
	var interval, since, before, deletions, confirm string
	var maxSize, limit int64
	var newestFirst bool
	var mapped []client.FolderRule
	cmd := &cobra.Command{Use: "set NAME", Short: "Change a batch's settings, also while it runs", Args: cobra.ExactArgs(1)}
	fl := cmd.Flags()
	fl.StringArrayVar(&exclude, "exclude", nil, "folders to leave out, in place of those before; \"\" for none (repeatable)")
	fl.StringArrayVar(&include, "include", nil, "only these folders, in place of those before; \"\" for all (repeatable)")
	fl.Var(&folderRules[client.FolderRule]{to: &mapped}, "map-folder", mapFolderHelp+` (repeatable; they replace the rules before; "" for none)`)
	fl.StringVar(&since, "since", "", sinceHelp+`; "" from the first on`)
	fl.StringVar(&before, "before", "", beforeHelp+`; "" to the last`)
	fl.Var(bytesFlag{&maxSize}, "max-message-size", maxSizeHelp)
	fl.Int64Var(&limit, "bad-item-limit", anyNumber, badItemsHelp)
	fl.StringVar(&deletions, "deletions", "", deletionsHelp)
	fl.StringVar(&confirm, "confirm", "", "the batch's name, where deletions become mirror and mailboxes have been synced")
	fl.StringVar(&interval, "resync-interval", "", "between two syncs of a user")
	fl.StringArrayVar(&notify, "notify", nil, "mail addresses for the reports, in place of those before; \"\" for none (repeatable)")
	fl.BoolVar(&newestFirst, "newest-first", false, "copy a folder's newest messages first")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var in client.BatchChange
		if fl.Changed("exclude") {
			in.ExcludeFolders = orNone(&exclude)
		}
		if fl.Changed("include") {
			in.IncludeFolders = orNone(&include)
		}
		if fl.Changed("map-folder") {
			in.MapFolders = &mapped
		}
		if fl.Changed("since") {
			in.Since = &since
		}
		if fl.Changed("before") {
			in.Before = &before
		}
		if fl.Changed("max-message-size") {
			in.MaxMessageSize = &maxSize
		}
		if fl.Changed("bad-item-limit") {
			in.BadItemLimit = &limit
		}
		given(fl, "deletions", &in.Deletions, &deletions)
		if fl.Changed("resync-interval") {
			in.ResyncInterval = &interval
		}
		if fl.Changed("notify") {
			in.Notify = orNone(&notify)
		}
		if fl.Changed("newest-first") {
			in.NewestFirst = &newestFirst
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		return g.emitBatch(c.ChangeBatch(cmd.Context(), args[0], confirm, in))
	}
	return cmd
}

// orNone is the list that a repeated flag gives: nothing for one "".
func orNone(list *[]string) *[]string {
	if slices.Equal(*list, []string{""}) {
		return &[]string{}
	}
	return list
}

// given sets what a flag was given for.
func given[T any](fl *pflag.FlagSet, name string, to **T, value *T) {
	if fl.Changed(name) {
		*to = value
	}
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

func newBatchAddUsers(g *global) *cobra.Command {
	var f csvFlags
	var dryRun bool
	cmd := &cobra.Command{Use: "add-users NAME --csv FILE", Short: "Add the rows of a CSV file; new passwords resume users who need them", Args: cobra.ExactArgs(1)}
	f.add(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check the file and tell what would come of it, store nothing")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		fileName, content, err := g.csv(f)
		if err != nil {
			return err
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		c, done := g.sending(c, content)
		add := c.AddUsers
		g.goesOn = wholeOrNot + "mailhaul batch get " + args[0] + "."
		if dryRun {
			add, g.goesOn = c.CheckUsers, ""
		}
		res, err := add(cmd.Context(), args[0], client.BatchSpec{Encoding: f.encoding, AllowUnknownColumns: f.anyColumns}, fileName, content)
		done()
		if err != nil {
			return err
		}
		if dryRun {
			g.say("nothing is wrong with the file; nothing was stored")
		}
		return emitOne(g, res, []column[client.Added]{
			{"CREATED", func(a client.Added) string { return number(a.Created) }},
			{"UPDATED", func(a client.Added) string { return number(a.Updated) }},
			{"UNCHANGED", func(a client.Added) string { return number(a.Unchanged) }},
		})
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
