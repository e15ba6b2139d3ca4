package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
)

func newWebhookCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "webhook", Short: "Webhooks: addresses that are called when a batch is in step or completed, or a user fails"}
	columns := []column[client.Webhook]{
		{"ID", func(w client.Webhook) string { return strconv.FormatInt(w.ID, 10) }},
		{"URL", func(w client.Webhook) string { return w.URL }},
		{"CREATED", func(w client.Webhook) string { return when(&w.CreatedAt) }},
		{"LAST", func(w client.Webhook) string {
			if w.LastDelivery == nil {
				return ""
			}
			return w.LastDelivery.Status + " " + when(w.LastDelivery.LastAttemptAt)
		}},
		{"ANSWER", func(w client.Webhook) string {
			if w.LastDelivery == nil {
				return ""
			}
			return w.LastDelivery.Answer
		}},
	}
	cmd.AddCommand(
		simple(g, "create URL", "Make a webhook; its secret is shown this once", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			w, err := c.CreateWebhook(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if g.output != "table" {
				return emitOne(g, w, []column[client.CreatedWebhook]{
					{"ID", func(w client.CreatedWebhook) string { return strconv.FormatInt(w.ID, 10) }},
					{"URL", func(w client.CreatedWebhook) string { return w.URL }},
					{"SECRET", func(w client.CreatedWebhook) string { return w.Secret }},
				})
			}
			g.say("webhook %d; the secret with which its calls are signed is not shown again:", w.ID)
			_, err = fmt.Fprintln(g.out, w.Secret)
			return err
		}),
		simple(g, "list", "List webhooks, each with what was delivered last", 0, func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.Webhooks(cmd.Context())
			if err != nil {
				return err
			}
			return emitList(g, list, columns)
		}),
		newWebhookDeliveries(g),
		simple(g, "delete ID", "End a webhook", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.DeleteWebhook(cmd.Context(), args[0]); err != nil {
				return err
			}
			g.say("webhook %s deleted", args[0])
			return nil
		}))
	return cmd
}

func newBatchMails(g *global) *cobra.Command {
	return simple(g, "mails NAME", "List to whom reports of a batch were mailed, newest first", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
		list, err := c.Mails(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return emitList(g, list, []column[client.Mail]{
			{"TO", func(m client.Mail) string { return m.To }},
			{"EVENT", func(m client.Mail) string { return m.Event }},
			{"STATUS", func(m client.Mail) string { return m.Status }},
			{"ATTEMPTS", func(m client.Mail) string { return strconv.Itoa(m.Attempts) }},
			{"LAST", func(m client.Mail) string { return when(m.LastAttemptAt) }},
			{"NEXT", func(m client.Mail) string { return when(m.NextAttemptAt) }},
			{"ANSWER", func(m client.Mail) string { return m.Answer }},
		})
	})
}

func newWebhookDeliveries(g *global) *cobra.Command {
	return simple(g, "deliveries ID", "List what went and goes to a webhook, newest first", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
		list, err := c.Deliveries(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return emitList(g, list, []column[client.Delivery]{
			{"ID", func(d client.Delivery) string { return d.ID }},
			{"EVENT", func(d client.Delivery) string { return d.Event }},
			{"STATUS", func(d client.Delivery) string { return d.Status }},
			{"ATTEMPTS", func(d client.Delivery) string { return strconv.Itoa(d.Attempts) }},
			{"LAST", func(d client.Delivery) string { return when(d.LastAttemptAt) }},
			{"NEXT", func(d client.Delivery) string { return when(d.NextAttemptAt) }},
			{"ANSWER", func(d client.Delivery) string { return d.Answer }},
		})
	})
}
