package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
)

func newTokenCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Tokens: who may use the API, and as what"}
	cmd.AddCommand(newTokenCreate(g),
		simple(g, "list", "List tokens", 0, func(cmd *cobra.Command, c *client.Client, _ []string) error {
			list, err := c.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			return emitList(g, list, []column[client.Token]{
				{"ID", func(t client.Token) string { return t.ID }},
				{"ROLE", func(t client.Token) string { return t.Role }},
				{"CREATED", func(t client.Token) string { return when(&t.CreatedAt) }},
				{"EXPIRES", func(t client.Token) string { return when(t.ExpiresAt) }},
				{"EMAIL", func(t client.Token) string { return t.Email }},
				{"REVOKED", func(t client.Token) string { return when(t.RevokedAt) }},
			})
		}),
		simple(g, "revoke ID", "End a token at once", 1, func(cmd *cobra.Command, c *client.Client, args []string) error {
			if err := c.RevokeToken(cmd.Context(), args[0]); err != nil {
				return err
			}
			g.say("token %s revoked", args[0])
			return nil
		}))
	return cmd
}

func newTokenCreate(g *global) *cobra.Command {
	var role, expires, email string
	cmd := &cobra.Command{Use: "create --role ROLE", Short: "Make a token; it is shown this once", Args: cobra.NoArgs}
	cmd.Flags().StringVar(&role, "role", "", "owner, admin, operator or viewer")
	cmd.Flags().StringVar(&expires, "expires", "", "how long it lives, such as 720h or 30d; absent: for ever")
	cmd.Flags().StringVar(&email, "email", "", "whose it is: reports of the batches made with it go there")
	_ = cmd.MarkFlagRequired("role")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := g.client()
		if err != nil {
			return err
		}
		t, err := c.CreateToken(cmd.Context(), client.NewToken{Role: role, Expires: days(expires), Email: email})
		if err != nil {
			return err
		}
		if t.Warning != "" {
			g.say("warning: %s", t.Warning)
		}
		if g.output != "table" {
			return emitOne(g, t, []column[client.CreatedToken]{
				{"ID", func(t client.CreatedToken) string { return t.ID }},
				{"ROLE", func(t client.CreatedToken) string { return t.Role }},
				{"TOKEN", func(t client.CreatedToken) string { return t.Value }},
			})
		}
		g.say("token %s of role %s; it is not shown again:", t.ID, t.Role)
		_, err = fmt.Fprintln(g.out, t.Value)
		return err
	}
	return cmd
}

// days makes 30d into 720h, which is what durations are made of.
func days(text string) string {
	if n, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && strings.HasSuffix(text, "d") && n > 0 && n < 100_000 {
		return strconv.Itoa(24*n) + "h"
	}
	return text
}
