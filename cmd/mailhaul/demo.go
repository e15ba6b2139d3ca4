package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/app"
	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/imapmail/imapdemo"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/report"
)

const (
	demoBatch    = "demo"
	demoPassword = "demo-password"
	// cutAfter bytes to one connection of the target it is cut off, for show.
	cutAfter = 200_000
)

func newDemoCommand(g *global) *cobra.Command {
	d := demo{g: g}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch a whole migration on this machine, with nothing else installed",
		Long: `Watch a whole migration on this machine, with nothing else installed.

Two mail servers in this process, the old one full of awkward mail; the service itself,
as "mailhaul up" runs it; a batch that is imported from a CSV, synced before your eyes,
cut off once in the middle, taken up again, and compared message by message. Everything
listens on loopback alone.`,
		Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.IntVar(&d.mailboxes, "mailboxes", 20, "how many mailboxes to move")
	f.IntVar(&d.messages, "messages", 200, "how many messages each has")
	f.BoolVar(&d.once, "once", false, "end when all is synced and verified")
	f.StringVar(&d.data, "data", "", "directory to keep the service's data in; absent: a temporary one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if d.mailboxes < 1 || d.messages < 1 {
			return usageError(errors.New("--mailboxes and --messages are at least 1"))
		}
		return d.run(cmd.Context())
	}
	return cmd
}

// demoSettle is enough where the server is in the same process: when it has ended a
// connection nothing of it is under way.
const demoSettle = 2 * time.Second

// demo is a migration for show.
type demo struct {
	g                   *global
	mailboxes, messages int
	once                bool
	data                string

	old, new *imapdemo.Server
	users    []string
}

func (d *demo) run(ctx context.Context) (err error) {
	if d.data == "" {
		dir, err := os.MkdirTemp("", "mailhaul-demo-")
		if err != nil {
			return fmt.Errorf("make a directory for the demo: %w", err)
		}
		d.data = dir
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	if err := d.startServers(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.old.Close(), d.new.Close()) }()
	service, err := d.startService(ctx)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	group, running := errgroup.WithContext(running)
	group.Go(func() error { return service.Run(running) })
	group.Go(func() error {
		if err := d.migrate(running, service); err != nil || d.once {
			stop()
			return err
		}
		d.g.say("\nThe service goes on until you press Ctrl-C. In another terminal:\n\n  export MAILHAUL_API=%s", service.URL())
		d.g.say("  export MAILHAUL_TOKEN=\"$(cat %s)\"\n  mailhaul user list --batch %s", service.TokenFile(), demoBatch)
		return nil
	})
	err = group.Wait()
	stop()
	return err
}

func (d *demo) startServers() error {
	for i := range d.mailboxes {
		d.users = append(d.users, fmt.Sprintf("user%02d@example.org", i+1))
	}
	var err error
	if d.old, err = imapdemo.Start(nil, demoPassword); err != nil {
		return err
	}
	for _, u := range d.users {
		if err := d.old.Fill(u, demoPassword, d.messages); err != nil {
			return errors.Join(err, d.old.Close())
		}
	}
	if d.new, err = imapdemo.Start(d.users, demoPassword); err != nil {
		return errors.Join(err, d.old.Close())
	}
	d.new.CutOnce(cutAfter)
	d.g.say("An old mail server with %d mailboxes of %d messages, and an empty new one.", d.mailboxes, d.messages)
	return nil
}

// startService starts what "mailhaul up" does, on a free port.
func (d *demo) startService(ctx context.Context) (*app.Standalone, error) {
	flags := newUpCommand(d.g).Flags()
	if err := errors.Join(flags.Set("data", d.data), flags.Set("listen", "127.0.0.1:0")); err != nil {
		return nil, err
	}
	c, err := config.LoadStandalone(flags, config.Sources{Env: func(string) (string, bool) { return "", false }, ReadFile: os.ReadFile})
	if err != nil {
		return nil, err
	}
	c.Settle = demoSettle
	service, err := app.NewStandalone(ctx, c, zap.NewNop())
	if err == nil {
		d.g.say("The service, its API at %s", service.URL())
	}
	return service, err
}

// migrate does what an operator would, over the API.
func (d *demo) migrate(ctx context.Context, service *app.Standalone) error {
	c, err := client.New(client.Config{URL: service.URL(), Token: migration.NewSecret(service.Token())})
	if err != nil {
		return err
	}
	for name, server := range map[string]*imapdemo.Server{"old": d.old, "new": d.new} {
		_, err := c.CreateEndpoint(ctx, client.NewEndpoint{Name: name, EndpointSpec: client.EndpointSpec{
			Host: "127.0.0.1", Port: server.Port(), Security: string(migration.Plain), Auth: "password",
		}}, false)
		if err != nil {
			return fmt.Errorf("create endpoint %s: %w", name, err)
		}
	}
	var rows strings.Builder
	rows.WriteString("EmailAddress,UserName,Password,TargetPassword\n")
	for _, u := range d.users {
		fmt.Fprintf(&rows, "%s,%s,%s,%s\n", u, u, demoPassword, demoPassword)
	}
	begun := time.Now()
	spec := client.BatchSpec{Name: demoBatch, SourceEndpoint: "old", TargetEndpoint: "new", AutoStart: true}
	if _, err := c.CreateBatch(ctx, spec, "demo.csv", []byte(rows.String())); err != nil {
		return fmt.Errorf("create the batch: %w", err)
	}
	d.g.say("Two endpoints, tested; a batch of %d users from a CSV, started.\n", d.mailboxes)
	b, err := d.watch(ctx, c)
	if err != nil {
		return err
	}
	d.g.say("\n%s after %.0f s: %d messages copied, %d recognised after the cut.", b.Status, time.Since(begun).Seconds(), b.Messages.Copied, b.Messages.Adopted)
	if b.Status != string(migration.BatchSynced) {
		return &exitError{exitFailed, fmt.Errorf("the demo's batch is %s", b.Status)}
	}
	return d.verify(ctx, c)
}

// watch shows the batch's progress until it has come to rest.
func (d *demo) watch(ctx context.Context, c *client.Client) (client.Batch, error) {
	bars := *d.g
	bars.out, bars.every = d.g.err, 200*time.Millisecond
	show := bars.lines()
	if terminal(bars.out) {
		show = bars.bars(ctx)
	} else {
		bars.every = time.Second
	}
	told := false
	b, err := bars.look(ctx, c, demoBatch, func(b client.Batch) bool {
		show.batch(b)
		if d.new.Cut() && !told && !terminal(bars.out) {
			d.g.say("(One connection of the new server has just been cut, on purpose: the folder settles for two seconds (with servers elsewhere ten), then goes on.)")
			told = true
		}
		_, ended := outcome(b, "")
		return ended
	})
	show.end()
	return b, err
}

// verify has every mailbox compared, and tells the result.
func (d *demo) verify(ctx context.Context, c *client.Client) error {
	d.g.say("Now every mailbox is read on both sides and compared, message by message.")
	if _, err := c.Do(ctx, demoBatch, "verify"); err != nil {
		return err
	}
	for {
		var text bytes.Buffer
		if err := c.Report(ctx, demoBatch, "receipts", "json", &text); err != nil {
			return err
		}
		var receipts struct {
			Rows []report.ReceiptRow `json:"items"`
		}
		if err := json.Unmarshal(text.Bytes(), &receipts); err != nil {
			return fmt.Errorf("read the receipts: %w", err)
		}
		if len(receipts.Rows) == d.mailboxes {
			return d.tell(receipts.Rows)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (d *demo) tell(receipts []report.ReceiptRow) error {
	var sum migration.Receipt
	same := 0
	for _, r := range receipts {
		if r.Receipt.Same() && r.Extra == 0 && r.WrongFlags == 0 {
			same++
		}
		sum.Messages += r.Messages
		sum.Bytes += r.Bytes
		sum.Missing += r.Missing
		sum.Altered += r.Altered
		sum.Extra += r.Extra
	}
	_, err := fmt.Fprintf(d.g.out, "%d of %d mailboxes are the same: %d messages, %s, %d missing, %d doubled, %d altered; one connection cut: %v\n",
		same, len(receipts), sum.Messages, size(sum.Bytes), sum.Missing, sum.Extra, sum.Altered, d.new.Cut())
	if same != len(receipts) {
		return &exitError{exitFailed, errors.Join(err, errors.New("the demo's mailboxes differ"))}
	}
	return err
}
