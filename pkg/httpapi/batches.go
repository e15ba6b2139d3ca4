package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// BatchPath is the parameters of a batch's path.
type BatchPath struct {
	OrgPath
	Name string `path:"name" maxLength:"64" doc:"name of the batch"`
}

type batchOut struct{ Body client.Batch }

const (
	batchesPath = "/v1/orgs/{org}/batches"
	batchPath   = batchesPath + "/{name}"
)

func (a *api) batchRoutes() {
	c := a.Control
	route(a, migration.Viewer, http.MethodGet, batchesPath, "listBatches", "List batches",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			Paging
		},
		) (*pageOut[client.Batch], error) {
			after, err := in.after()
			if err != nil {
				return nil, err
			}
			rows, err := c.Batches(ctx, who, in.Org, after, in.Limit+1)
			if err != nil {
				return nil, err
			}
			return page(rows, in.Limit, batchWire, func(b control.Batch) string { return b.Name }), nil
		})
	route(a, migration.Viewer, http.MethodGet, batchPath, "getBatch", "Show a batch",
		func(ctx context.Context, who control.Actor, in *BatchPath) (*batchOut, error) {
			return answerBatch(c.Batch(ctx, who, in.Org, in.Name))
		})
	route(a, migration.Operator, http.MethodPatch, batchPath, "changeBatch", "Change a batch's settings, also while it runs",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Confirm string `query:"confirm" doc:"the batch's name, where deletions become mirror and mailboxes have been synced"`
			Body    client.BatchChange
		},
		) (*batchOut, error) {
			change, err := batchChange(in.Body)
			if err != nil {
				return nil, err
			}
			return answerBatch(c.ChangeBatch(ctx, who, in.Org, in.Name, in.Confirm, change))
		})
	route(a, migration.Operator, http.MethodDelete, batchPath, "removeBatch", "Remove a batch with its passwords and records",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Force      bool   `query:"force" doc:"whatever was synced, without confirm"`
			KeepReport bool   `query:"keepReport" doc:"keep a final report"`
			Confirm    string `query:"confirm" doc:"the batch's name"`
		},
		) (*removed, error) {
			return answerRemoved(c.RemoveBatch(ctx, who, in.Org, in.Name,
				control.Removal{Force: in.Force, Confirm: in.Confirm, Keep: in.KeepReport}))
		}, goneOrSoon)
	a.verbRoutes()
	a.preflightRoutes()
	a.uploadRoutes()
}

func (a *api) verbRoutes() {
	c := a.Control
	for _, v := range []struct {
		verb, summary string
		do            func(context.Context, control.Actor, string, string) (control.Batch, error)
	}{
		{"start", "Start or resume a batch, and retry its failed users", c.StartBatch},
		{"stop", "Stop a batch", c.StopBatch},
		{"sync", "Sync all users now", c.SyncBatch},
		{"verify", "Compare both sides of every synced user", c.VerifyBatch},
		{"preflight", "Look at both sides of every user before anything is copied; it is for a batch that does not run", c.PreflightBatch},
	} {
		route(a, migration.Operator, http.MethodPost, batchPath+"/"+v.verb, v.verb+"Batch", v.summary,
			func(ctx context.Context, who control.Actor, in *BatchPath) (*batchOut, error) {
				return answerBatch(v.do(ctx, who, in.Org, in.Name))
			})
	}
	route(a, migration.Operator, http.MethodPost, batchPath+"/reverse", "reverseBatch", "Make a batch in the other direction, for a move back; it is not started",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Body *client.Reversal
		},
		) (*batchOut, error) {
			name := ""
			if in.Body != nil {
				name = in.Body.Name
			}
			return answerBatch(c.ReverseBatch(ctx, who, in.Org, in.Name, name))
		}, status(http.StatusCreated))
	route(a, migration.Operator, http.MethodPost, batchPath+"/complete", "completeBatch", "Sync a last time, then no more",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			Body *client.Completion
		},
		) (*batchOut, error) {
			var at time.Time
			if in.Body != nil && in.Body.At != nil {
				at = *in.Body.At
			}
			return answerBatch(c.CompleteBatch(ctx, who, in.Org, in.Name, at))
		})
}

// removed is 204, or 202 while a pass is still ending.
type removed struct{ Status int }

func answerRemoved(gone bool, err error) (*removed, error) {
	if err != nil {
		return nil, err
	}
	if gone {
		return &removed{http.StatusNoContent}, nil
	}
	return &removed{http.StatusAccepted}, nil
}

func answerBatch(b control.Batch, err error) (*batchOut, error) {
	if err != nil {
		return nil, err
	}
	return &batchOut{batchWire(b)}, nil
}

func batchChange(in client.BatchChange) (func(*migration.BatchSpec), error) {
	var interval *time.Duration
	if in.ResyncInterval != nil {
		d, err := parseDuration("resyncInterval", *in.ResyncInterval)
		if err != nil {
			return nil, err
		}
		interval = &d
	}
	var moments [2]*time.Time
	for i, in := range []struct {
		what string
		text *string
	}{{"since", in.Since}, {"before", in.Before}} {
		if in.text == nil {
			continue
		}
		t, err := parseMoment(in.what, *in.text)
		if err != nil {
			return nil, err
		}
		moments[i] = &t
	}
	return func(s *migration.BatchSpec) {
		set(&s.ExcludeFolders, in.ExcludeFolders)
		set(&s.IncludeFolders, in.IncludeFolders)
		if in.MapFolders != nil {
			s.MapFolders = folderRules(*in.MapFolders)
		}
		set(&s.MailSince, moments[0])
		set(&s.MailBefore, moments[1])
		set(&s.MaxMessageSize, in.MaxMessageSize)
		if n := in.BadItemLimit; n != nil && *n == -1 {
			s.BadItemLimit = nil
		} else if n != nil {
			s.BadItemLimit = n
		}
		set(&s.Deletions, in.Deletions)
		set(&s.ResyncInterval, interval)
		set(&s.Notify, in.Notify)
		set(&s.NewestFirst, in.NewestFirst)
	}, nil
}

// created is a new batch, or what a dry run found.
type created struct {
	Status int
	Body   any
}

func (a *api) uploadRoutes() {
	c := a.Control
	route(a, migration.Operator, http.MethodPost, batchesPath, "createBatch", "Make a batch from a CSV file",
		func(ctx context.Context, who control.Actor, in *struct {
			OrgPath
			DryRun      bool   `query:"dryRun" doc:"check the file, store nothing"`
			ContentType string `header:"Content-Type" hidden:"true"`
		},
		) (*created, error) {
			u, err := parseUpload(in.ContentType, wholeBody(ctx))
			if err != nil {
				return nil, err
			}
			spec, err := batchSpec(u.spec)
			if err != nil {
				return nil, err
			}
			b, n, err := c.CreateBatch(ctx, who, in.Org, control.NewBatch{Name: u.spec.Name, BatchSpec: spec, File: u.file, DryRun: in.DryRun})
			if err != nil {
				return nil, err
			}
			if in.DryRun {
				return &created{http.StatusOK, client.DryRun{DryRun: true, Name: b.Name, Mailboxes: n, Warnings: list(b.Warnings)}}, nil
			}
			return &created{http.StatusCreated, batchWire(b)}, nil
		}, status(http.StatusCreated))
	route(a, migration.Operator, http.MethodPost, batchPath+"/users", "addUsers", "Add the rows of a CSV file to a batch",
		func(ctx context.Context, who control.Actor, in *struct {
			BatchPath
			DryRun      bool   `query:"dryRun" doc:"check the file and tell what would come of it, store nothing"`
			ContentType string `header:"Content-Type" hidden:"true"`
		},
		) (*struct{ Body client.Added }, error) {
			u, err := parseUpload(in.ContentType, wholeBody(ctx))
			if err != nil {
				return nil, err
			}
			add := c.AddUsers
			if in.DryRun {
				add = c.TryUsers
			}
			res, err := add(ctx, who, in.Org, in.Name, u.file)
			if err != nil {
				return nil, err
			}
			return &struct{ Body client.Added }{client.Added(res)}, nil
		})
	a.describeUploads(batchesPath, batchPath+"/users")
}
