package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
)

func newBatchDelete(g *global) *cobra.Command {
	var r client.Removal
	var timeout time.Duration
	cmd := &cobra.Command{Use: "delete NAME", Short: "Remove a batch with its passwords and records", Args: cobra.ExactArgs(1)}
	cmd.Flags().BoolVar(&r.Force, "force", false, "whatever was synced, without further questions")
	cmd.Flags().StringVar(&r.Confirm, "confirm", "", "the batch's name, in place of the question")
	cmd.Flags().BoolVar(&r.KeepReport, "keep-report", false, "keep a final report")
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for passes that are ending")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c, err := g.client()
		if err != nil {
			return err
		}
		if !r.Force && r.Confirm == "" && terminal(g.in) {
			if r.Confirm, err = g.ask(fmt.Sprintf("Batch %s is removed with its passwords and records. Type its name to go on: ", args[0])); err != nil {
				return err
			}
		}
		g.goesOn = "A removal that has begun goes on: see mailhaul batch get " + args[0] + "."
		gone, err := g.removeBatch(cmd.Context(), c, args[0], r)
		if err != nil {
			return err
		}
		if !gone {
			if err := g.untilGone(cmd.Context(), c, args[0], timeout); err != nil {
				return err
			}
		}
		g.say("batch %s removed", args[0])
		return nil
	}
	return cmd
}

// removeBatch asks for the removal and shows how many users are gone until it is answered.
func (g *global) removeBatch(ctx context.Context, c *client.Client, name string, r client.Removal) (gone bool, err error) {
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		gone, err = c.RemoveBatch(ctx, name, r)
	}()
	shown := g.gauge("removed", ofUsers, "")
	defer shown.end()
	total := 0
	for tick := time.NewTicker(g.every); ; {
		select {
		case <-answered:
			tick.Stop()
			return gone, err
		case <-tick.C:
			if b, err := c.Batch(ctx, name); err == nil {
				total = max(total, b.Counts["total"])
				shown.set(int64(total-b.Counts["total"]), int64(total))
			}
		}
	}
}

func (g *global) ask(question string) (string, error) {
	_, _ = fmt.Fprint(g.err, question)
	answer, err := bufio.NewReader(g.in).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(answer), nil
}

// untilGone waits until the passes of a removed batch have ended.
func (g *global) untilGone(ctx context.Context, c *client.Client, name string, timeout time.Duration) error {
	g.say("passes are ending")
	late := time.Now().Add(timeout)
	for time.Now().Before(late) {
		var p *client.Problem
		if _, err := c.Batch(ctx, name); errors.As(err, &p) && p.Status == 404 {
			return nil
		} else if err != nil {
			return err
		}
		if err := g.pause(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("batch %s is being removed: a pass of it has not ended yet", name)
}
