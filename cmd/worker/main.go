// Command worker is a Mailhaul worker: it takes passes from the queue and runs them. Any
// number may run beside each other.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/mailhaul/mailhaul/pkg/app"
	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/telemetry"
)

const usage = `worker runs Mailhaul's passes. Any number may run on one database and Redis.

Flags (each is also an environment variable, named in brackets):
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:]))
}

func run(ctx context.Context, args []string) int {
	flags := pflag.NewFlagSet("worker", pflag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage, flags.FlagUsages(), "\n", config.SecretsHelp(config.DescribeWorker()))
	}
	config.WorkerFlags(flags)
	if err := flags.Parse(args); errors.Is(err, pflag.ErrHelp) {
		return 0
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 2
	}
	c, err := config.LoadWorker(flags, config.Sources{Env: os.LookupEnv, ReadFile: os.ReadFile})
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 2
	}
	log, err := telemetry.NewLogger(os.Stderr, c.LogLevel, c.LogFormat)
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 2
	}
	process, err := app.NewWorker(ctx, c, log)
	switch {
	case err == nil:
		err = process.Run(ctx)
	case ctx.Err() != nil:
		return 0 // told to end before it had begun
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		return 1
	}
	return 0
}
