package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
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
