package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/provider"
)

// PreflightBatch asks for a look at both sides of every user before anything is copied.
// It is for a batch that does not run: where it does its syncs find out the same, and a
// preflight would only take their place.
func (c *Control) PreflightBatch(ctx context.Context, a Actor, org, name string) (Batch, error) {
	b, err := c.enterBatch(ctx, a, org, name, migration.Operator)
	if err != nil {
		return Batch{}, err
	}
	s, err := c.store.Summary(ctx, b.ID)
	if err != nil {
		return Batch{}, fmt.Errorf("summarise batch %q: %w", name, err)
	}
	if b.Status(s.Counts) == migration.BatchStopping {
		return Batch{}, fault(migration.Conflict, "batch %q is stopping: ask again when its passes have ended", name)
	}
	return c.act(ctx, a, org, name, "batch.preflightRequested", mayPreflight, func(b migration.Batch, now time.Time) (int, error) {
		n, err := c.store.PreflightUsers(ctx, b.ID, now)
		if err == nil && n == 0 {
			err = fault(migration.Conflict, "no user of batch %q takes part in a preflight now", name)
		}
		return n, err
	})
}

func mayPreflight(b *migration.Batch) error {
	switch {
	case b.Completing:
		return fault(migration.Conflict, "batch %q is being completed, or is: a preflight comes before a batch is started", b.Name)
	case runs(b) == nil:
		return fault(migration.Conflict, "batch %q runs: its syncs find out what a preflight would, and tell it at the users; stop it first if you want one", b.Name)
	}
	return nil
}

// Preflight is what preflights of a batch found, and what follows from it.
type Preflight struct {
	Users   int // of the batch
	Checked int // that a result is kept of
	Left    int // that wait for theirs, or have it run
	Levels  map[migration.Level]int
	// Sums over those checked.
	Folders, Messages, Bytes, ToCome int64
	Findings                         []FindingCount
	Endpoints                        []migration.Finding
	// Estimate is nil while nothing is known of what has to be carried.
	Estimate *migration.BatchEstimate
	// Pilot is the batch's own first sync where it had one, else what the estimate rests
	// on; Advice is what follows from it. Both may be nil.
	Pilot  *migration.Pilot
	Advice *migration.Advice
	List   []migration.UserPreflight // the gravest first
}

// FindingCount is how many users have a finding.
type FindingCount struct {
	Code  migration.FindingCode
	Level migration.Level
	Users int
}

// PreflightAfter is where a page of a Preflight's list begins: behind a user.
type PreflightAfter struct {
	Level        migration.Level
	EmailAddress string
}

// FromTheGravest is the beginning of the list.
var FromTheGravest = PreflightAfter{Level: migration.LevelFailing + 1}

// Preflight tells what preflights of a batch found, estimates how long the batch takes,
// and recommends what its pilot suggests.
func (c *Control) Preflight(ctx context.Context, a Actor, org, name string, after PreflightAfter, limit int) (Preflight, error) {
	b, err := c.enterBatch(ctx, a, org, name, migration.Viewer)
	if err != nil {
		return Preflight{}, err
	}
	s, err := c.store.Summary(ctx, b.ID)
	if err != nil {
		return Preflight{}, fmt.Errorf("summarise batch %q: %w", name, err)
	}
	groups, left, err := c.store.PreflightGroups(ctx, b.ID)
	if err != nil {
		return Preflight{}, err
	}
	p, load := sumUp(groups)
	p.Users, p.Left = s.Counts.Total(), left
	if p.List, err = c.store.ListPreflights(ctx, b.ID, after.Level, after.EmailAddress, limit); err != nil {
		return Preflight{}, err
	}
	err = c.foretell(ctx, &b, &p, load)
	return p, err
}

// sumUp adds up what the groups found, and what they have to carry.
func sumUp(groups []migration.PreflightGroup) (p Preflight, load migration.Workload) {
	p.Levels = map[migration.Level]int{}
	counts := map[FindingCount]int{}
	for _, g := range groups {
		p.Checked += g.Users
		p.Levels[g.Level] += g.Users
		p.Folders += g.Folders
		p.Messages += g.Messages
		p.Bytes += g.Bytes
		p.ToCome += g.ToCome
		load.LargestBytes = max(load.LargestBytes, g.LargestBytes)
		load.LargestMessages = max(load.LargestMessages, g.LargestMessages)
		for code, level := range migration.CodesOf(g.Codes) {
			counts[FindingCount{Code: code, Level: level}] += g.Users
		}
	}
	load.Mailboxes, load.Messages, load.Bytes = p.Checked, p.Messages, p.ToCome
	for f, n := range counts {
		f.Users = n
		p.Findings = append(p.Findings, f)
	}
	slices.SortFunc(p.Findings, func(a, b FindingCount) int {
		switch {
		case a.Level != b.Level:
			return int(b.Level - a.Level)
		case a.Users != b.Users:
			return b.Users - a.Users
		case a.Code < b.Code:
			return -1
		}
		return 1
	})
	return p, load
}

// foretell adds the endpoints' connections, the estimate and the pilot's advice.
func (c *Control) foretell(ctx context.Context, b *migration.Batch, p *Preflight, load migration.Workload) error {
	source, err := c.store.EndpointByID(ctx, b.SourceEndpointID)
	if err != nil {
		return fmt.Errorf("find endpoint %q: %w", b.SourceEndpoint, err)
	}
	target, err := c.store.EndpointByID(ctx, b.TargetEndpointID)
	if err != nil {
		return fmt.Errorf("find endpoint %q: %w", b.TargetEndpoint, err)
	}
	workers, err := c.store.Workers(ctx)
	if err != nil {
		return err
	}
	pilots, err := c.store.Pilots(ctx, b.OrgID, source.ID, target.ID)
	if err != nil {
		return err
	}
	capacity := migration.Capacity(workers)
	allowed := [2]migration.Allowance{allowance(source.Preset), allowance(target.Preset)}
	p.Endpoints = append(migration.JudgeConnections(&source, migration.Source, allowed[0]), migration.JudgeConnections(&target, migration.Target, allowed[1])...)
	p.Pilot = migration.ChoosePilot(pilots, load)
	for _, limit := range []int64{provider.DailyBytes(&source, migration.Source), provider.DailyBytes(&target, migration.Target)} {
		if limit > 0 && (load.DailyBytes == 0 || limit < load.DailyBytes) {
			load.DailyBytes = limit
		}
	}
	if load.Messages > 0 {
		e := migration.EstimateBatch(load, &source, &target, capacity, p.Pilot, c.now())
		p.Estimate = &e
	}
	if i := slices.IndexFunc(pilots, func(x migration.Pilot) bool { return x.BatchID == b.ID }); i >= 0 {
		p.Pilot = &pilots[i]
	}
	if p.Pilot != nil {
		p.Advice = p.Pilot.Advise(&source, &target, capacity, allowed)
	}
	return nil
}

// allowance is what a preset knows of the connections that its servers take.
func allowance(preset string) migration.Allowance {
	p, _ := provider.Lookup(preset)
	return migration.Allowance{PerUser: p.ConnectionsPerUser, PerAddress: p.ConnectionsPerIP}
}
