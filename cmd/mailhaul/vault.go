package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

func newVaultCommand(g *global) *cobra.Command {
	cmd := &cobra.Command{Use: "vault", Short: "Master keys that seal the stored passwords"}
	cmd.AddCommand(
		&cobra.Command{Use: "keygen", Short: "Print a new master key for MAILHAUL_MASTER_KEY", Args: cobra.NoArgs, RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(g.out, vault.GenerateKey())
			return err
		}},
		rotate(g))
	return cmd
}

func rotate(g *global) *cobra.Command {
	cmd := simple(g, "rotate", "Put every stored password under the first master key", 0, func(cmd *cobra.Command, c *client.Client, _ []string) error {
		res, err := c.RotateKeys(cmd.Context())
		if err != nil {
			return err
		}
		return emitOne(g, res, []column[client.Rotated]{{"RECORDS", func(r client.Rotated) string { return number(r.Records) }}})
	})
	cmd.Long = `Put every stored password under the first master key. This needs an owner's token.

To change the key without downtime:
  1. add the new key last in MAILHAUL_MASTER_KEY of every api and worker, and restart them;
  2. put it first everywhere, and restart them;
  3. mailhaul vault rotate;
  4. drop the old key everywhere.`
	return cmd
}
