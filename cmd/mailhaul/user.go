package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
)

func newUserCommand(g *global) *cobra.Command {
	var batch string
	cmd := &cobra.Command{Use: "user", Short: "Users: single mailboxes of a batch"}
	cmd.PersistentFlags().StringVar(&batch, "batch", "", "the batch that the user is in")
	// of is simple for commands about one user.
	of := func(verb, short string, do func(*cobra.Command, *client.Client, string) error) *cobra.Command {
		return simple(g, verb+" EMAIL --batch BATCH", short, 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			if batch == "" {
				return errNoBatch
			}
			return do(cmd, c, args[0])
		})
	}
	cmd.AddCommand(newUserList(g, &batch), newUserItems(g, &batch), newUserCredentials(g, &batch), newUserMove(g, &batch), newUserConfirm(g, &batch),
		of("get", "Show a user", func(cmd *cobra.Command, c *client.Client, email string) error {
			return g.emitUser(c.User(cmd.Context(), batch, email))
		}),
		of("why", "Tell why a user waits, and what to do about it", func(cmd *cobra.Command, c *client.Client, email string) error {
			w, err := c.Why(cmd.Context(), batch, email)
			if err != nil {
				return err
			}
			return g.why(w)
		}),
		of("remove", "Take a user out of its batch", func(cmd *cobra.Command, c *client.Client, email string) error {
			gone, err := c.RemoveUser(cmd.Context(), batch, email)
			if err != nil {
				return err
			}
			if gone {
				g.say("%s removed", email)
			} else {
				g.say("%s is removed as soon as its pass has ended", email)
			}
			return nil
		}))
	for _, v := range [][2]string{
		{"retry", "Try a user again now, also the messages that were left behind"},
		{"stop", "Stop a user"},
		{"complete", "Sync a user a last time, then no more"},
		{"reset", "Forget what is known of a user's messages; the next pass recognises them at the target"},
	} {
		cmd.AddCommand(of(v[0], v[1], func(cmd *cobra.Command, c *client.Client, email string) error {
			return g.emitUser(c.DoUser(cmd.Context(), batch, email, v[0]))
		}))
	}
	return cmd
}

var errNoBatch = usageError(errors.New("--batch names no batch"))

var userColumns = []column[client.User]{
	{"EMAIL", func(u client.User) string { return u.EmailAddress }},
	{"STATUS", func(u client.User) string { return u.Status }},
	{"SEEN", func(u client.User) string { return number(u.Messages.Seen) }},
	{"COPIED", func(u client.User) string { return number(u.Messages.Copied) }},
	{"SKIPPED", func(u client.User) string { return number(u.Messages.Skipped + u.Messages.Failed) }},
	{"BYTES", func(u client.User) string { return size(u.Bytes.Copied) }},
	{"CODE", func(u client.User) string { return u.Code }},
	{"REASON", func(u client.User) string { return u.Reason }},
	{"REMEDY", func(u client.User) string { return u.Remedy }},
	{"USER NAME", func(u client.User) string { return u.UserName }},
	{"TARGET USER NAME", func(u client.User) string { return u.TargetUserName }},
	{"UNCHANGED", func(u client.User) string { return number(u.Messages.Unchanged) }},
	{"DELETED", func(u client.User) string { return number(u.Messages.Deleted) }},
	{"ADOPTED", func(u client.User) string { return number(u.Messages.Adopted) }},
	{"FOLDERS", func(u client.User) string { return number(u.Folders.Done) + " of " + number(u.Folders.Total) }},
	{"LAST SYNCED", func(u client.User) string { return when(u.LastSyncedAt) }},
	{"NEXT SYNC", func(u client.User) string { return when(u.NextSyncAt) }},
	{"RESUMES", func(u client.User) string { return when(u.ResumesAt) }},
	{"ATTEMPTS", func(u client.User) string { return number(u.Attempts) }},
}

func (g *global) emitUser(u client.User, err error) error {
	if err != nil {
		return err
	}
	return emitOne(g, u, userColumns)
}

func newUserList(g *global, batch *string) *cobra.Command {
	var f client.UserFilter
	cmd := &cobra.Command{Use: "list --batch BATCH", Short: "List a batch's users", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&f.Status, "status", "", "only users of this status, such as Failed")
	cmd.Flags().StringVar(&f.Code, "code", "", "only users with this code, such as AuthFailed")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *batch == "" {
			return errNoBatch
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		list, err := c.Users(cmd.Context(), *batch, f)
		if err != nil {
			return err
		}
		return emitList(g, list, userColumns[:9])
	}
	return cmd
}

func newUserItems(g *global, batch *string) *cobra.Command {
	var code string
	cmd := &cobra.Command{Use: "items --batch BATCH", Short: "List the messages that were skipped or failed", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&code, "code", "", "only those with this code, such as MessageTooLarge")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *batch == "" {
			return errNoBatch
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		list, err := c.Items(cmd.Context(), *batch, code)
		if err != nil {
			return err
		}
		return emitList(g, list, itemColumns)
	}
	return cmd
}

var itemColumns = []column[client.Item]{
	{"EMAIL", func(i client.Item) string { return i.EmailAddress }},
	{"FOLDER", func(i client.Item) string { return i.Folder }},
	{"UID", func(i client.Item) string { return number(int64(i.UID)) }},
	{"MESSAGE ID", func(i client.Item) string { return i.MessageID }},
	{"DATE", func(i client.Item) string { return when(i.Date) }},
	{"SIZE", func(i client.Item) string { return size(i.Size) }},
	{"CODE", func(i client.Item) string { return i.Code }},
	{"REASON", func(i client.Item) string { return i.Reason }},
	{"REMEDY", func(i client.Item) string { return i.Remedy }},
}

func newUserCredentials(g *global, batch *string) *cobra.Command {
	var in client.Credentials
	var file, targetFile string
	cmd := &cobra.Command{Use: "set-credentials EMAIL --batch BATCH", Short: "Give a user new credentials; it goes on by itself", Args: cobra.ExactArgs(1)}
	fl := cmd.Flags()
	fl.StringVar(&in.UserName, "user-name", "", "login name at the source")
	fl.StringVar(&file, "password-file", "", "file with the password at the source, - for stdin")
	fl.StringVar(&in.TargetUserName, "target-user-name", "", "login name at the target")
	fl.StringVar(&targetFile, "target-password-file", "", "file with the password at the target, - for stdin")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *batch == "":
			return errNoBatch
		case file == "-" && targetFile == "-":
			return usageError(errors.New("stdin holds one password, not two"))
		}
		var err error
		if in.Password, err = g.secret(file); err != nil {
			return err
		}
		if in.TargetPassword, err = g.secret(targetFile); err != nil {
			return err
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		return g.emitUser(c.SetCredentials(cmd.Context(), *batch, args[0], in))
	}
	return cmd
}

func newUserConfirm(g *global, batch *string) *cobra.Command {
	var n int64
	cmd := &cobra.Command{
		Use: "confirm-deletions EMAIL --batch BATCH --confirm N", Args: cobra.ExactArgs(1),
		Short: "Let the next sync delete at the target what its user's latest sync asks about",
		Long: `Let the next sync delete at the target what the latest sync asks about.

Where a batch mirrors deletions and so much is gone at the source that it looks wrong,
nothing is deleted, and the user is Failed (NeedsDecision); its reason tells how many
messages in which folders. Look at the source first. The number is what the reason says;
should more be gone by the time of the sync, it asks anew. To leave the copies where
they are, set the batch's deletions to keep, or restore the source.`,
	}
	cmd.Flags().Int64Var(&n, "confirm", 0, "how many copies are deleted: the number that the user's reason tells")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *batch == "" {
			return errNoBatch
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		return g.emitUser(c.ConfirmDeletions(cmd.Context(), *batch, args[0], n))
	}
	return cmd
}

func newUserMove(g *global, batch *string) *cobra.Command {
	var to string
	cmd := &cobra.Command{Use: "move EMAIL --batch BATCH --to BATCH", Short: "Move a user to another batch of the same endpoints; nothing is copied again", Args: cobra.ExactArgs(1)}
	cmd.Flags().StringVar(&to, "to", "", "the batch that the user is moved to")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case *batch == "":
			return errNoBatch
		case to == "":
			return usageError(errors.New("--to names no batch"))
		}
		c, err := g.client()
		if err != nil {
			return err
		}
		return g.emitUser(c.MoveUser(cmd.Context(), *batch, args[0], to))
	}
	return cmd
}
