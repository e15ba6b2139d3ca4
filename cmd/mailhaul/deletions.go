package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// deletionFlags are what sync is told of deletions.
type deletionFlags struct {
	deletions string
	confirm   int64
}

func (d *deletionFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&d.deletions, "deletions", migration.Keep, deletionsHelp+"; needs --state")
	f.Int64Var(&d.confirm, "confirm", 0, "with --deletions mirror: delete up to as many copies although the source looks wrong; the command says how many it asks about")
}

// mirror reports whether deletions are carried over. Without records there is nothing
// that tells a copy from the user's own mail.
func (d *deletionFlags) mirror(state string) (bool, error) {
	switch {
	case d.deletions != migration.Keep && d.deletions != migration.Mirror:
		return false, usageError(fmt.Errorf("--deletions %s is neither keep nor mirror", d.deletions))
	case d.deletions == migration.Keep && d.confirm != 0:
		return false, usageError(errors.New("--confirm is about deletions: it needs --deletions mirror"))
	case d.deletions == migration.Mirror && state == "":
		return false, usageError(errors.New("--deletions mirror needs --state: only what the file says was delivered is ever deleted"))
	}
	return d.deletions == migration.Mirror, nil
}

// sayDeletions tells what was deleted, if anything was to be.
func (g *global) sayDeletions(r syncResult) {
	if r.Deleted+r.KeptAtTarget > 0 {
		g.say("%d copies deleted because their messages are gone at the source; %d kept because they were changed", r.Deleted, r.KeptAtTarget)
	}
	if r.DryRun && r.ToDelete > 0 {
		g.say("%d copies would be deleted: their messages are gone at the source", r.ToDelete)
	}
}

// failure is what a pass that asks about deletions ends with: the generic remedy does not
// know the flag.
func (d *deletionFlags) failure(err error, r syncResult) error {
	if r.Code == string(migration.NeedsDecision) && r.ToDelete > 0 {
		return &exitError{exitFailed, fmt.Errorf("%w\n  %s", err, r.Remedy)}
	}
	return failure(err)
}
