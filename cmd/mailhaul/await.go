package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// idleLooks in a row without a pass end the waiting for users whose pass did not do
// what was asked. Between a request and its passes lies a moment without any.
const idleLooks = 5

// stamps are when what is waited for happened last, by user; ok is whether it went
// well.
type stamps map[string]stamp

type stamp struct {
	at time.Time
	ok bool
}

// newBatchNow is sync or verify: with --wait until every user that is asked of has
// had its pass; shows is the command that tells of it.
func newBatchNow(g *global, verb, short, done, shows string, look func(context.Context, *client.Client, string) (stamps, error)) *cobra.Command {
	var wait bool
	cmd := &cobra.Command{Use: verb + " NAME", Short: short, Args: cobra.ExactArgs(1)}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is done; exit code 3 where a user is not "+done)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, name := cmd.Context(), args[0]
		c, err := g.client()
		if err != nil {
			return err
		}
		if !wait {
			return g.emitBatch(c.Do(ctx, name, verb))
		}
		users, err := c.Users(ctx, name, client.UserFilter{})
		if err != nil {
			return err
		}
		before, err := look(ctx, c, name)
		if err != nil {
			return err
		}
		if _, err := c.Do(ctx, name, verb); err != nil {
			return err
		}
		g.goesOn = fmt.Sprintf("The %s goes on: see %s %s.", verb, shows, name)
		asked := map[string]bool{}
		for _, u := range users {
			if takesPart(u) {
				asked[u.EmailAddress] = true
			}
		}
		if len(asked) == 0 {
			return &exitError{exitExceptions, fmt.Errorf("batch %s: no user takes part in a %s now (mailhaul user list --batch %s)", name, verb, name)}
		}
		good, fresh, err := g.await(ctx, c, verb, name, asked, before, look)
		if err != nil {
			return err
		}
		g.say("%d of %d users %s", good, len(asked), done)
		if good < len(asked) {
			var bad []string
			if n := fresh - good; n > 0 {
				bad = append(bad, fmt.Sprintf("%d users are not %s", n, done))
			}
			if n := len(asked) - fresh; n > 0 {
				bad = append(bad, fmt.Sprintf("%d users have had no %s", n, verb))
			}
			return &exitError{exitExceptions, fmt.Errorf("batch %s: %s (mailhaul user list --batch %s, mailhaul report receipts %s)",
				name, strings.Join(bad, ", "), name, name)}
		}
		return nil
	}
	return cmd
}

// takesPart reports whether a sync or a verify of the batch reaches a user: one that
// was in step once, and is neither at its end nor in need of somebody.
func takesPart(u client.User) bool {
	switch migration.UserStatus(u.Status) {
	case migration.UserSynced, migration.UserIncrementalSyncing, migration.UserQueued, migration.UserWaiting:
		return u.LastSyncedAt != nil
	}
	return false
}

// await looks until all that are asked of have a newer stamp than before, or no pass
// is left that could bring one; it returns how many have a newer one, and how many of
// them went well.
func (g *global) await(ctx context.Context, c *client.Client, verb, name string, asked map[string]bool, before stamps,
	look func(context.Context, *client.Client, string) (stamps, error),
) (good, fresh int, err error) {
	shown := g.gauge(verb, ofUsers, "")
	defer shown.end()
	for idle := 0; ; {
		asking := time.Now()
		now, err := look(ctx, c, name)
		if err != nil && !errors.Is(err, client.ErrUnreachable) {
			return 0, 0, err
		}
		good, fresh = 0, 0
		for email := range asked {
			if s := now[email]; s.at.After(before[email].at) {
				fresh++
				if s.ok {
					good++
				}
			}
		}
		shown.set(int64(fresh), int64(len(asked)))
		if err == nil && fresh == len(asked) {
			return good, fresh, nil
		}
		b, err := c.Batch(ctx, name)
		switch {
		case err != nil && !errors.Is(err, client.ErrUnreachable):
			return 0, 0, err
		case err == nil && b.Counts["queued"]+b.Counts["incrementalSyncing"]+b.Counts["syncing"]+b.Counts["completing"] == 0:
			idle++
		default:
			idle = 0
		}
		if idle == idleLooks {
			return good, fresh, nil
		}
		// The list of a large batch takes its time, of the API too.
		if err := g.pauseFor(ctx, max(g.every, 5*time.Since(asking))); err != nil {
			return 0, 0, err
		}
	}
}

// lastSyncs are the users' latest syncs.
func lastSyncs(ctx context.Context, c *client.Client, batch string) (stamps, error) {
	users, err := c.Users(ctx, batch, client.UserFilter{})
	out := stamps{}
	for _, u := range users {
		if u.LastSyncedAt != nil {
			out[u.EmailAddress] = stamp{*u.LastSyncedAt, true}
		}
	}
	return out, err
}

// receipts are the users' latest verifies.
func receipts(ctx context.Context, c *client.Client, batch string) (stamps, error) {
	var text bytes.Buffer
	if err := c.Report(ctx, batch, "receipts", "json", &text); err != nil {
		return nil, err
	}
	var report struct {
		Items []struct {
			EmailAddress string    `json:"emailAddress"`
			At           time.Time `json:"at"`
			Same         bool      `json:"same"`
		} `json:"items"`
	}
	if err := json.Unmarshal(text.Bytes(), &report); err != nil {
		return nil, fmt.Errorf("read the receipts: %w", err)
	}
	out := stamps{}
	for _, r := range report.Items {
		out[r.EmailAddress] = stamp{r.At, r.Same}
	}
	return out, nil
}

// resyncs are the users who were to be synced, or were being synced, when they were
// first looked at. The batch's status says nothing of them: it stays Synced meanwhile.
// Who becomes due later is not waited for: in a large batch there is always somebody.
type resyncs struct {
	known bool
	left  []client.User
}

// over reports whether all of them have had their sync, or have come to rest without
// one. Of those who are left it asks no more than it has to.
func (r *resyncs) over(ctx context.Context, c *client.Client, b client.Batch) (bool, error) {
	if status := migration.BatchStatus(b.Status); status != migration.BatchSynced && status != migration.BatchSyncedWithErrors {
		return true, nil
	}
	if b.Counts["queued"]+b.Counts["incrementalSyncing"] == 0 {
		return true, nil
	}
	if !r.known {
		for _, status := range []migration.UserStatus{migration.UserQueued, migration.UserIncrementalSyncing} {
			users, err := c.Users(ctx, b.Name, client.UserFilter{Status: string(status)})
			if err != nil {
				return false, err
			}
			r.left = append(r.left, users...)
		}
		r.known = true
	}
	for len(r.left) > 0 {
		before := r.left[0]
		u, err := c.User(ctx, b.Name, before.EmailAddress)
		var p *client.Problem
		switch {
		case errors.As(err, &p) && p.Status == http.StatusNotFound: // removed meanwhile
		case err != nil:
			return false, err
		case isResyncing(u) && !hadASync(before, u):
			return false, nil
		}
		r.left = r.left[1:]
	}
	return true, nil
}

func isResyncing(u client.User) bool {
	status := migration.UserStatus(u.Status)
	return status == migration.UserQueued || status == migration.UserIncrementalSyncing
}

func hadASync(before, now client.User) bool {
	return now.LastSyncedAt != nil && (before.LastSyncedAt == nil || now.LastSyncedAt.After(*before.LastSyncedAt))
}
