package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

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
