package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Preflight is what preflights of a batch found before anything was copied.
type Preflight struct {
	Users    int `json:"users" doc:"of the batch"`
	Checked  int `json:"checked" doc:"users whose latest preflight has ended"`
	Left     int `json:"left" doc:"users that wait for theirs, or have it run"`
	Ready    int `json:"ready" doc:"of those checked, users that can be moved as they are"`
	Warnings int `json:"warnings" doc:"of those checked, users that can be moved with exceptions"`
	Failing  int `json:"failing" doc:"of those checked, users that cannot be moved as things are"`

	Folders  int64 `json:"folders" doc:"to be carried, of those checked"`
	Messages int64 `json:"messages" doc:"to be carried, of those checked"`
	Bytes    int64 `json:"bytes" doc:"of these messages"`
	ToCome   int64 `json:"toCome" doc:"of these bytes, without what earlier passes delivered"`

	Findings  []FindingCount    `json:"findings" nullable:"false" doc:"what was found, and at how many users; the gravest first"`
	Endpoints []EndpointFinding `json:"endpoints" nullable:"false" doc:"what is to be said of the endpoints' limits on connections"`
	Estimate  *Estimate         `json:"estimate,omitempty" doc:"how long the first syncs take; absent while there is nothing to carry"`
	Pilot     *Pilot            `json:"pilot,omitempty" doc:"how the batch's own first sync went, or that of the batch that the estimate rests on; absent: there is none"`

	Items      []UserPreflight `json:"items" nullable:"false" doc:"a page of the users, those with the gravest findings first"`
	NextCursor string          `json:"nextCursor" doc:"cursor of the next page; empty on the last"`
}

// FindingCount is a finding, and how many users have it.
type FindingCount struct {
	Code   string `json:"code" doc:"a code of the failure catalogue, or FoldersRenamed, FolderNamesLong, FoldersLeftOut, TargetHoldsMail, QuotaNotTold, NothingToCarry"`
	Level  string `json:"level" doc:"failing, warning or note"`
	Users  int    `json:"users" doc:"how many have it"`
	Remedy string `json:"remedy" doc:"what to do"`
}

// EndpointFinding is what is to be said of an endpoint's limits.
type EndpointFinding struct {
	Side   string `json:"side" doc:"source or target"`
	Code   string `json:"code" doc:"ConnectionLimit"`
	Level  string `json:"level" doc:"warning or note"`
	What   string `json:"what" doc:"in plain words"`
	Remedy string `json:"remedy" doc:"what to do"`
}

// Estimate is how long the first syncs of a batch take.
type Estimate struct {
	FromSeconds int64  `json:"fromSeconds" doc:"at the least, hours of rest included"`
	ToSeconds   int64  `json:"toSeconds" doc:"at the most; a year stands for longer"`
	Concurrency int    `json:"concurrency" doc:"mailboxes at once"`
	Basis       string `json:"basis" doc:"pilot: measured with it; guess: conservative figures, because no batch between these endpoints has synced yet"`
	Pilot       string `json:"pilot" doc:"the batch that was measured; empty: none"`
	Comparable  bool   `json:"comparable" doc:"whether the pilot's mailboxes are about as large"`
	Bound       string `json:"bound" doc:"what takes the time, in plain words"`
}

// Pilot is how the first sync of a batch went, and what it recommends.
type Pilot struct {
	Batch             string    `json:"batch" doc:"its name"`
	Mailboxes         int       `json:"mailboxes" doc:"that had their first sync"`
	Failed            int       `json:"failed" doc:"mailboxes that failed or need credentials"`
	Messages          int64     `json:"messages" doc:"copied by the first syncs"`
	Bytes             int64     `json:"bytes" doc:"of these"`
	StartedAt         time.Time `json:"startedAt" doc:"when the batch was started"`
	Seconds           int64     `json:"seconds" doc:"from then until the first sync that ended last"`
	Concurrency       float64   `json:"concurrency" doc:"passes at once, on the average"`
	MessagesPerSecond float64   `json:"messagesPerSecond" doc:"of one mailbox while its pass runs"`
	BytesPerSecond    float64   `json:"bytesPerSecond" doc:"of one mailbox while its pass runs"`
	Advice            *Advice   `json:"advice,omitempty" doc:"for the batches after it; absent: it was too small to tell"`
}

// Advice is what a pilot recommends.
type Advice struct {
	MaxConcurrentMigrations int      `json:"maxConcurrentMigrations" doc:"for both endpoints"`
	BatchSize               int      `json:"batchSize" doc:"mailboxes like the pilot's that are in step in a night of 8 hours"`
	Because                 []string `json:"because" nullable:"false" doc:"the reasons, in plain words"`
}

// UserPreflight is what the preflight of one user found.
type UserPreflight struct {
	EmailAddress string    `json:"emailAddress" doc:"the user"`
	At           time.Time `json:"at" doc:"when it ended"`
	Level        string    `json:"level" doc:"of the gravest finding: failing, warning, note; empty: nothing was found"`
	Folders      int64     `json:"folders" doc:"to be carried"`
	Messages     int64     `json:"messages" doc:"to be carried"`
	Bytes        int64     `json:"bytes" doc:"of these"`
	ToCome       int64     `json:"toCome" doc:"of these bytes, without what earlier passes delivered; what the target holds without our having brought it is in it"`

	LargestFolder string `json:"largestFolder" doc:"where the largest message is; empty: there is none"`
	LargestSize   int64  `json:"largestSize" doc:"of it, in bytes"`
	SizeLimit     int64  `json:"sizeLimit" doc:"of a message, in bytes; 0: none is known"`
	TooLarge      int64  `json:"tooLarge" doc:"messages above it"`

	TargetFolders  int64  `json:"targetFolders" doc:"that are there already"`
	TargetMessages int64  `json:"targetMessages" doc:"that are there already"`
	QuotaUsed      *int64 `json:"quotaUsed" doc:"of the target mailbox, in bytes; null: the target does not tell"`
	QuotaLimit     *int64 `json:"quotaLimit" doc:"of the target mailbox, in bytes; null: the target does not tell"`

	Renamed  []RenamedFolder `json:"renamed" nullable:"false" doc:"folders that have another name at the target, the unusual first; at most 20"`
	LeftOut  []string        `json:"leftOut" nullable:"false" doc:"folders that the batch's filters leave out, at most 20"`
	Findings []Finding       `json:"findings" nullable:"false" doc:"the gravest first"`
}

// RenamedFolder is a folder that has another name at the target.
type RenamedFolder struct {
	From string `json:"from" doc:"path at the source, / between the parts"`
	To   string `json:"to" doc:"name at the target"`
	Why  string `json:"why" doc:"place: it goes to the folder for the same use, or where a rule of the batch says; spelling: the target cannot hold the name; apart: two names would be one there"`
}

// Finding is one thing that was found.
type Finding struct {
	Code   string `json:"code" doc:"as in FindingCount"`
	Level  string `json:"level" doc:"failing, warning or note"`
	Side   string `json:"side" doc:"source or target; empty: neither"`
	What   string `json:"what" doc:"in plain words"`
	Remedy string `json:"remedy" doc:"what to do"`
}

// Preflight tells what preflights of a batch found, with a page of its users.
func (c *Client) Preflight(ctx context.Context, batch, cursor string, limit int) (out Preflight, err error) {
	q := url.Values{"limit": {strconv.Itoa(limit)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	_, err = c.json(ctx, call{method: http.MethodGet, path: c.inOrg("batches", batch, "preflight"), query: q}, nil, &out)
	return out, err
}
