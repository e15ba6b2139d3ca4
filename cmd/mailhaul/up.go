package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/app"
	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/telemetry"
)

func newUpCommand(_ *global) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "up --data DIR",
		Short: "Run everything on this machine: API, dispatcher and workers in one process",
		Long: `Run everything on this machine: API, dispatcher and workers in one process.

The directory holds the database, the master key and an owner's token; it is made where
it is missing, for its owner alone, and belongs to one process at a time. Interrupted or
killed at any moment, it goes on from there when it is started again. A database,
a Redis or a master key that is given is used in place of its own.

` + strings.TrimSpace(config.SecretsHelp(config.DescribeStandalone())),
		Args: cobra.NoArgs,
	}
	config.StandaloneFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := config.LoadStandalone(cmd.Flags(), config.Sources{Env: os.LookupEnv, ReadFile: os.ReadFile})
		if err != nil {
			return err
		}
		log, err := telemetry.NewLogger(cmd.ErrOrStderr(), c.LogLevel, c.LogFormat)
		if err != nil {
			return err
		}
		s, err := app.NewStandalone(cmd.Context(), c, log)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%w: end the program that has it, or give another address (--listen)", err)
		}
		if err != nil {
			return err
		}
		greet(cmd.ErrOrStderr(), s)
		return s.Run(cmd.Context())
	}
	return cmd
}

// greet tells how the API is reached, with a token that is not itself printed.
func greet(w io.Writer, s *app.Standalone) {
	fmt.Fprintf(w, "Mailhaul runs. In another terminal:\n\n  export MAILHAUL_API=%s\n", s.URL())
	if file := s.TokenFile(); file != "" {
		fmt.Fprintf(w, "  export MAILHAUL_TOKEN=\"$(cat '%s')\"\n", file)
	}
	fmt.Fprintf(w, "  %s endpoint list\n\n", os.Args[0])
}
