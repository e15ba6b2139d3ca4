package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/app"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func newVerifyCommand(g *global) *cobra.Command {
	var p pairFlags
	cmd := &cobra.Command{
		Use:   "verify --source URL --target URL",
		Short: "Compare two mailboxes message by message, and name every difference",
		Long: `Compare two mailboxes message by message, and name every difference.

Both are read whole and compared by SHA-256. With the --state of their syncs, a message
that was delivered and then deleted or moved at the target is told from one that is
missing. Exit code 3 if anything is missing, altered, has another date, or a folder is
missing; what the target itself changes in any message (line ends, say) is counted as
normalised and passes.
` + pairHelp,
		Args: cobra.NoArgs,
	}
	p.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		pair, err := p.pair(g)
		if err != nil {
			return err
		}
		receipt, err := g.verifyPair(cmd.Context(), pair)
		if err != nil {
			return failure(err)
		}
		if err := g.emitReceipt(receipt); err != nil {
			return err
		}
		if !receipt.Same() {
			return &exitError{code: exitExceptions}
		}
		return nil
	}
	return cmd
}

// verifyPair shows how far a verify is as it goes.
func (g *global) verifyPair(ctx context.Context, p app.Pair) (migration.Receipt, error) {
	shown := g.gauge("read on both sides:", ofMessages, "")
	defer shown.end()
	p.ObserveVerify = shown.set
	return p.Verify(ctx)
}

// emitReceipt names the differences on stderr and ends stdout with the counts.
func (g *global) emitReceipt(r migration.Receipt) error {
	if g.output == "json" || g.output == "ndjson" {
		return g.jsonLine(r)
	}
	for _, d := range r.Differences {
		where := ""
		if d.SourceUID != 0 {
			where += fmt.Sprintf(", source uid %d", d.SourceUID)
		}
		if d.TargetUID != 0 {
			where += fmt.Sprintf(", target uid %d", d.TargetUID)
		}
		g.say("%s: %s%s %s %s", d.Kind, d.Folder, where, d.MessageID, d.Detail)
	}
	word := "SAME"
	if !r.Same() {
		word = "DIFFERENT"
	}
	_, err := fmt.Fprintf(g.out, "%s: %d folders, %d messages, %s: %d missing, %d skipped, %d altered, %d with another date, %d with other flags, %d folders missing; "+
		"%d normalised, %d extra, %d removed and %d moved at the target\ndigest %s\n",
		word, r.Folders, r.Messages, size(r.Bytes), r.Missing, r.Skipped, r.Altered, r.WrongDate, r.WrongFlags, r.FoldersMissing,
		r.Normalised, r.Extra, r.RemovedAtTarget, r.MovedAtTarget, r.Digest)
	return err
}

// jsonLine writes one object on one line: the last of stdout.
func (g *global) jsonLine(v any) error { return json.NewEncoder(g.out).Encode(v) }
