package client

import (
	"context"
	"net/http"
	"time"
)

// Worker is a process that runs passes.
type Worker struct {
	ID          string    `json:"id" doc:"its name among all that ever were"`
	Host        string    `json:"host" doc:"where it runs"`
	PID         int       `json:"pid" doc:"its process there"`
	Version     string    `json:"version" doc:"what it was built from"`
	State       string    `json:"state" doc:"running, draining, drained (it takes no passes, and waits to be ended) or gone (not heard of)"`
	Since       time.Time `json:"since" doc:"of the state"`
	StartedAt   time.Time `json:"startedAt" doc:"of the process"`
	Running     int       `json:"running" doc:"passes that it runs"`
	Concurrency int       `json:"concurrency" doc:"passes that it runs at once at the most"`
}

// Why tells why a user does not run at this moment, or that it does.
type Why struct {
	EmailAddress string   `json:"emailAddress" doc:"the user"`
	Status       string   `json:"status" doc:"the user's"`
	Reasons      []Reason `json:"reasons" nullable:"false" doc:"at least one; the first decides"`
}

// Reason is one reason, and what to do about it.
type Reason struct {
	Kind     string     `json:"kind" doc:"running, queued, done, inStep, removing, notStarted, stopped, credentials, failed, waits, held, parked, resting, probe, limit, share, mailbox, noWorker, busy, turn or next; there may come to be more"`
	What     string     `json:"what" doc:"in plain words"`
	Remedy   string     `json:"remedy" doc:"what to do"`
	Endpoint string     `json:"endpoint" doc:"that it is about; empty: none"`
	Until    *time.Time `json:"until" doc:"when it ends by itself; null: no time is set"`
}

// Fleet is what an organisation sees of the fleet at one moment.
type Fleet struct {
	At        time.Time      `json:"at" doc:"of the look; at most a second old"`
	Workers   []Worker       `json:"workers" nullable:"true" doc:"the workers; null for a token that is bound to one organisation"`
	Endpoints []FleetAt      `json:"endpoints" nullable:"false" doc:"the organisation's endpoints, by name"`
	Due       map[string]int `json:"due" doc:"users that are due and wait, by kind of pass: complete, resync, first, verify, preflight"`
	// ETASeconds is null where it is not known.
	ETASeconds *float64 `json:"etaSeconds" doc:"until all that are due now have had their pass, without those at endpoints that are held or parked; null: not known, because no pass was measured yet or no worker takes work"`
	Copied     Copied   `json:"copied" doc:"counters, to make rates of: the difference of two looks"`
}

// FleetAt is what goes on at one endpoint.
type FleetAt struct {
	Name         string         `json:"name" doc:"the endpoint's"`
	InUse        map[string]int `json:"inUse" doc:"passes under way or about to begin, by kind"`
	Limit        int            `json:"limit" doc:"passes at once"`
	WorkingLimit int            `json:"workingLimit" doc:"passes at once for now: fewer than limit after it asked for time"`
	ResyncLimit  int            `json:"resyncLimit" doc:"of those, resyncs"`
	Due          map[string]int `json:"due" doc:"users that are due and have a side here, by kind of pass"`
	Waits        []Reason       `json:"waits" nullable:"false" doc:"why those wait that do; empty: nothing here keeps them"`
}

// Copied counts what was copied since the midnight before last (UTC).
type Copied struct {
	Messages int64 `json:"messages" doc:"messages written to targets"`
	Bytes    int64 `json:"bytes" doc:"their bytes"`
}

// Workers lists the workers.
func (c *Client) Workers(ctx context.Context) ([]Worker, error) {
	return all[Worker](ctx, c, []string{"v1", "workers"}, nil)
}

// DrainWorker has a worker hand back its passes and take no more.
func (c *Client) DrainWorker(ctx context.Context, id string) (out Worker, err error) {
	_, err = c.json(ctx, call{method: http.MethodPost, path: []string{"v1", "workers", id, "drain"}}, nil, &out)
	return out, err
}

// Why tells why a user waits.
func (c *Client) Why(ctx context.Context, batch, email string) (out Why, err error) {
	_, err = c.json(ctx, call{method: http.MethodGet, path: c.inOrg("batches", batch, "users", email, "why")}, nil, &out)
	return out, err
}

// Fleet looks at the fleet.
func (c *Client) Fleet(ctx context.Context) (out Fleet, err error) {
	_, err = c.json(ctx, call{method: http.MethodGet, path: c.inOrg("fleet")}, nil, &out)
	return out, err
}
