package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

func (a *api) preflightRoutes() {
	route(a, migration.Viewer, http.MethodGet, batchPath+"/preflight", "getPreflight", "What preflights of a batch found, and how long the batch takes",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Paging
		},
		) (*struct{ Body client.Preflight }, error) {
			after, err := preflightAfter(in.Paging)
			if err != nil {
				return nil, err
			}
			p, err := a.Control.Preflight(ctx, who, in.Org, in.Name, after, in.Limit+1)
			if err != nil {
				return nil, err
			}
			out := preflightWire(p)
			users := page(p.List, in.Limit, userPreflightWire, func(p migration.UserPreflight) string {
				return strconv.Itoa(int(p.Level)) + " " + p.EmailAddress
			})
			out.Items, out.NextCursor = users.Body.Items, users.Body.NextCursor
			return &struct{ Body client.Preflight }{out}, nil
		})
}

func preflightAfter(p Paging) (control.PreflightAfter, error) {
	key, err := p.after()
	if err != nil || key == "" {
		return control.FromTheGravest, err
	}
	level, email, _ := strings.Cut(key, " ")
	n, err := strconv.Atoi(level)
	if err != nil {
		return control.FromTheGravest, invalid("cursor: not one of ours")
	}
	return control.PreflightAfter{Level: migration.Level(n), EmailAddress: email}, nil
}

func preflightWire(p control.Preflight) client.Preflight {
	out := client.Preflight{
		Users: p.Users, Checked: p.Checked, Left: p.Left,
		Ready: p.Levels[migration.LevelNote], Warnings: p.Levels[migration.LevelWarning], Failing: p.Levels[migration.LevelFailing],
		Folders: p.Folders, Messages: p.Messages, Bytes: p.Bytes, ToCome: p.ToCome,
		Findings: []client.FindingCount{}, Endpoints: []client.EndpointFinding{},
	}
	for _, f := range p.Findings {
		out.Findings = append(out.Findings, client.FindingCount{Code: string(f.Code), Level: f.Level.String(), Users: f.Users, Remedy: f.Code.Remedy()})
	}
	for _, f := range p.Endpoints {
		w := findingWire(f)
		out.Endpoints = append(out.Endpoints, client.EndpointFinding{Side: w.Side, Code: w.Code, Level: w.Level, What: w.What, Remedy: w.Remedy})
	}
	if e := p.Estimate; e != nil {
		out.Estimate = &client.Estimate{
			FromSeconds: int64(e.From.Seconds()), ToSeconds: int64(e.To.Seconds()), Concurrency: e.Concurrency,
			Basis: "guess", Pilot: e.Pilot, Comparable: e.Comparable, Bound: e.Bound,
		}
		if e.Pilot != "" {
			out.Estimate.Basis = "pilot"
		}
	}
	if x := p.Pilot; x != nil {
		out.Pilot = &client.Pilot{
			Batch: x.Batch, Mailboxes: x.Synced, Failed: x.Failed, Messages: x.Messages, Bytes: x.Bytes, StartedAt: x.StartedAt.UTC(),
			Seconds: int64(x.Took().Seconds()), Concurrency: x.Concurrency(), MessagesPerSecond: x.MessagesPerSecond(), BytesPerSecond: x.BytesPerSecond(),
		}
		if a := p.Advice; a != nil {
			out.Pilot.Advice = &client.Advice{MaxConcurrentMigrations: a.MaxConcurrentMigrations, BatchSize: a.BatchSize, Because: list(a.Because)}
		}
	}
	return out
}

func findingWire(f migration.Finding) client.Finding {
	return client.Finding{Code: string(f.Code), Level: f.Level.String(), Side: string(f.Side), What: f.Text, Remedy: f.Code.Remedy()}
}

func userPreflightWire(p migration.UserPreflight) client.UserPreflight {
	out := client.UserPreflight{
		EmailAddress: p.EmailAddress, At: p.At.UTC(), Folders: p.Folders, Messages: p.Messages, Bytes: p.Bytes, ToCome: p.ToCome,
		SizeLimit: p.SizeLimit, TooLarge: p.TooLarge, TargetFolders: p.TargetFolders, TargetMessages: p.TargetMessages,
		Renamed: []client.RenamedFolder{}, LeftOut: list(p.LeftOut), Findings: []client.Finding{},
	}
	if len(p.Findings) > 0 {
		out.Level = p.Level.String()
	}
	if l := p.Largest; l != nil {
		out.LargestFolder, out.LargestSize = l.Folder, l.Size
	}
	if q := p.Quota; q != nil {
		out.QuotaUsed, out.QuotaLimit = &q.Used, &q.Limit
	}
	for _, r := range p.Renamed {
		out.Renamed = append(out.Renamed, client.RenamedFolder{From: r.From, To: r.To, Why: string(r.Why)})
	}
	for _, f := range p.Findings {
		out.Findings = append(out.Findings, findingWire(f))
	}
	return out
}
