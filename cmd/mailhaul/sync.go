package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/mailsync"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

const syncHelp = `Bring one target mailbox in step with one source mailbox, without a server.

Nothing at the source is changed, and nothing at the target deleted unless --deletions
mirror says so. Repeat the command to carry over what is new: with --state a pass with
nothing new takes a handful of round trips, and what you delete or re-flag at the target
stays so; without it, what is at the target already is recognised and not copied again.
It may be killed at any moment.
`

func newSyncCommand(g *global) *cobra.Command {
	var p pairFlags
	var dryRun, verify, newestFirst, compress bool
	var maxSize int64
	var deletions deletionFlags
	connections := connectionsFlag(1)
	cmd := &cobra.Command{
		Use:   "sync --source URL --target URL",
		Short: "Bring one target mailbox in step with one source mailbox, without a server",
		Long:  syncHelp + pairHelp,
		Args:  cobra.NoArgs,
	}
	p.add(cmd)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only look and count; change nothing")
	cmd.Flags().BoolVar(&verify, "verify", false, "compare the mailboxes message by message afterwards")
	cmd.Flags().Var(bytesFlag{&maxSize}, "max-message-size", maxSizeHelp)
	deletions.add(cmd)
	cmd.Flags().BoolVar(&newestFirst, "newest-first", false, "copy a folder's newest messages first")
	cmd.Flags().Var(&connections, "connections", "connections at once to each side, 1 to 16: a help where a server is slow on each")
	cmd.Flags().BoolVar(&compress, "compress", false, "compress the connections where a server can do it (RFC 4978): for slow lines")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		pair, err := p.pair(g)
		if err != nil {
			return err
		}
		if pair.Mirror, err = deletions.mirror(p.state); err != nil {
			return err
		}
		pair.ConfirmedDeletions = deletions.confirm
		pair.Source.Compress, pair.Target.Compress = compress, compress
		staySmall()
		pair.MaxMessageSize, pair.DryRun, pair.NewestFirst, pair.Connections = maxSize, dryRun, newestFirst, int(connections)
		watch, done := g.watchTally()
		pair.Observe = watch
		begun := time.Now()
		out, err := pair.Sync(cmd.Context())
		done()
		result := resultOf(out, err, time.Since(begun), dryRun)
		if err != nil && cmd.Context().Err() != nil {
			result.interrupted()
			g.goesOn = result.Remedy
		}
		if err == nil && verify && !dryRun {
			var receipt migration.Receipt
			if receipt, err = g.verifyPair(cmd.Context(), pair); err == nil {
				result.Verify = &receipt
			}
		}
		if emitErr := g.emitSync(result); err != nil || emitErr != nil {
			return errors.Join(deletions.failure(err, result), emitErr)
		}
		if result.Verify != nil && !result.Verify.Same() {
			return &exitError{code: exitExceptions}
		}
		if out.Tally.Skipped+out.Tally.Failed > 0 || len(out.Items) > 0 {
			return &exitError{code: exitExceptions}
		}
		return nil
	}
	return cmd
}

// connectionsFlag is a number of connections.
type connectionsFlag int

func (f *connectionsFlag) String() string { return strconv.Itoa(int(*f)) }
func (f *connectionsFlag) Type() string   { return "int" }

func (f *connectionsFlag) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 16 {
		return errors.New("a number from 1 to 16 is expected")
	}
	*f = connectionsFlag(n)
	return nil
}

// syncResult is what --output json ends with.
type syncResult struct {
	Status        string `json:"status"`
	Code          string `json:"code,omitempty"`
	Reason        string `json:"reason,omitempty"`
	Remedy        string `json:"remedy,omitempty"`
	Folders       int64  `json:"folders"`
	Seen          int64  `json:"seen"`
	Unchanged     int64  `json:"unchanged"`
	Copied        int64  `json:"copied"`
	Adopted       int64  `json:"adopted"`
	Skipped       int64  `json:"skipped"`
	Failed        int64  `json:"failed"`
	Redelivered   int64  `json:"redelivered"`
	Surplus       int64  `json:"surplus"`
	MovedAtSource int64  `json:"movedAtSource"`
	FlagsUpdated  int64  `json:"flagsUpdated"`
	Deleted       int64  `json:"deleted"`
	KeptAtTarget  int64  `json:"keptAtTarget"`
	// ToDelete would be deleted: in a dry run, or once it is confirmed.
	ToDelete        int64        `json:"toDelete,omitempty"`
	Bytes           int64        `json:"bytes"`
	DurationSeconds float64      `json:"durationSeconds"`
	Items           []itemResult `json:"items"`
	Renamed         []renamed    `json:"renamed,omitempty"`
	// Kept are folders that stay where they were begun, whatever --map-folder says by now.
	Kept   []renamed `json:"kept,omitempty"`
	DryRun bool      `json:"dryRun,omitempty"`
	// FewerConnections is why there were not as many as --connections asks for.
	FewerConnections string `json:"fewerConnections,omitempty"`
	// Verify is what --verify found.
	Verify *migration.Receipt `json:"verify,omitempty"`
}

type itemResult struct {
	Folder    string     `json:"folder"`
	UID       uint32     `json:"uid"`
	MessageID string     `json:"messageId"`
	Date      *time.Time `json:"date,omitempty"`
	Size      int64      `json:"size,omitempty"`
	Code      string     `json:"code"`
	Reason    string     `json:"reason"`
}

type renamed struct {
	From string `json:"from"`
	To   string `json:"to"`
}

func resultOf(out mailsync.Outcome, err error, took time.Duration, dryRun bool) syncResult {
	t := out.Tally
	r := syncResult{
		Status: string(migration.UserSynced), Folders: t.Folders, Seen: t.Seen, Unchanged: t.Unchanged, Copied: t.Copied, Adopted: t.Adopted,
		Skipped: t.Skipped, Failed: t.Failed, Redelivered: t.Redelivered, Surplus: t.Surplus, MovedAtSource: t.MovedAtSource,
		FlagsUpdated: t.FlagsUpdated, Deleted: t.Deleted, KeptAtTarget: t.KeptAtTarget, ToDelete: t.ToDelete, Bytes: t.Bytes, DurationSeconds: took.Seconds(), Items: []itemResult{}, DryRun: dryRun,
	}
	if err != nil {
		f := migration.AsFault(err)
		r.Status, r.Code, r.Reason, r.Remedy = string(migration.UserFailed), string(f.Code), f.Reason, f.Code.Remedy()
		if f.Code == migration.NeedsDecision && t.ToDelete > 0 {
			r.Remedy = fmt.Sprintf("Look at the source. To delete the copies, repeat the command with --confirm %d; to leave them, without --deletions mirror.", t.ToDelete)
		}
		if f.Code == migration.AuthFailed {
			r.Status = string(migration.UserNeedsCredentials)
		}
	}
	for _, it := range out.Items {
		x := itemResult{Folder: it.Folder, UID: it.UID, MessageID: migration.Clean(it.MessageID), Size: it.Size, Code: string(it.Code), Reason: it.Reason}
		if !it.Date.IsZero() {
			x.Date = &it.Date
		}
		r.Items = append(r.Items, x)
	}
	if out.Fewer != nil {
		r.FewerConnections = out.Fewer.Reason
	}
	for _, x := range out.Renamed {
		r.Renamed = append(r.Renamed, renamed(x))
	}
	for _, x := range out.Kept {
		r.Kept = append(r.Kept, renamed(x))
	}
	return r
}

// interrupted makes a pass that was ended from outside no failure of anything.
func (r *syncResult) interrupted() {
	r.Status, r.Code, r.Reason = string(migration.UserStopped), "", "interrupted"
	r.Remedy = "Repeat the command: it goes on from here."
}

func (g *global) emitSync(r syncResult) error {
	if g.output == "json" || g.output == "ndjson" {
		return g.jsonLine(r)
	}
	for _, x := range r.Renamed {
		g.say("%s is %s at the target", x.From, x.To)
	}
	for _, x := range r.Kept {
		g.say("%s was begun as %s and stays there, whatever --map-folder says by now", x.From, x.To)
	}
	for _, it := range r.Items {
		g.say("%s in %s uid %d %s: %s", it.Code, it.Folder, it.UID, it.MessageID, it.Reason)
	}
	if r.FewerConnections != "" {
		g.say("a further connection was refused: %s", r.FewerConnections)
	}
	did := "copied"
	if r.DryRun {
		did = "to be copied"
	}
	left := "failed"
	if r.Status == string(migration.UserStopped) {
		left = "left"
	}
	_, printErr := fmt.Fprintf(g.out, "%s: %d folders, %d messages seen: %d unchanged, %d %s, %d adopted, %d skipped, %d %s; %d flags updated; %s in %.1f s\n",
		r.Status, r.Folders, r.Seen, r.Unchanged, r.Copied, did, r.Adopted, r.Skipped, r.Failed, left, r.FlagsUpdated, size(r.Bytes), r.DurationSeconds)
	g.sayDeletions(r)
	if printErr == nil && r.Verify != nil {
		printErr = g.emitReceipt(*r.Verify)
	}
	return printErr
}

// watchTally shows a pass as it goes.
func (g *global) watchTally() (observe func(migration.Tally), done func()) {
	shown := g.gauge("messages", ofMessages, "")
	return func(t migration.Tally) { shown.set(handled(t), t.Seen) }, shown.end
}

func (g *global) quietBars() bool { return g.output != "table" }

func handled(t migration.Tally) int64 {
	return t.Unchanged + t.Copied + t.Adopted + t.Skipped + t.Failed
}
