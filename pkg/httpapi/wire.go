package httpapi

import (
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// when is null for the zero time.
func when(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// list is never null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// duration spells d without the zeros that Go adds: 24h, not 24h0m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func parseDuration(what, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, invalid(what + `: a duration such as 24h, 90m or 30s is expected`)
	}
	return d, nil
}

func parseMoment(what, s string) (time.Time, error) {
	t, err := migration.ParseMoment(s)
	if err != nil {
		return t, invalid(what + ": " + err.Error())
	}
	return t, nil
}

func orgWire(o migration.Org) client.Org {
	return client.Org{Name: o.Name, CreatedAt: o.CreatedAt.UTC()}
}

func usageWire(months []migration.MonthUsage) client.Usage {
	out := client.Usage{Months: []client.MonthUsage{}}
	var sum migration.Usage
	for _, m := range months {
		sum = sum.Add(m.Usage)
		out.Months = append(out.Months, client.MonthUsage{Month: m.Month, Moved: client.Moved(m.Usage)})
	}
	out.Moved = client.Moved(sum)
	return out
}

func tokenWire(t migration.Token) client.Token {
	return client.Token{
		ID: t.ID, Role: string(t.Role), CreatedAt: t.CreatedAt.UTC(),
		ExpiresAt: when(t.ExpiresAt), RevokedAt: when(t.RevokedAt), Email: t.Email,
	}
}

func endpointWire(e migration.Endpoint) client.Endpoint {
	out := client.Endpoint{
		Name: e.Name, Preset: e.Preset, Host: e.Host, Port: e.Port, Security: string(e.Security), Auth: e.Auth,
		TLSPin: e.TLSPin, TLSInsecure: e.TLSInsecure,
		LoginTemplate: e.LoginTemplate, AdminUser: e.AdminUser, AdminPasswordSet: len(e.AdminSecret) > 0, TestMailbox: e.TestMailbox,
		MaxConcurrentMigrations: e.MaxConcurrentMigrations, MaxConcurrentIncrementalSyncs: e.MaxConcurrentIncrementalSyncs,
		ConnectionsPerMailbox: e.ConnectionsPerMailbox, Compress: e.Compress, Namespaces: list(e.Namespaces),
		Hours: string(e.Hours), DailyBytes: e.DailyBytes, DailyBytesPerMailbox: e.DailyBytesPerMailbox, BytesPerSecond: e.BytesPerSecond, MessagesPerSecond: e.MessagesPerSecond,
		CreatedAt: e.CreatedAt.UTC(),
	}
	if e.ScopeSize != nil {
		out.Scope = &client.ScopeSize{Mailboxes: *e.ScopeSize}
	}
	now := time.Now()
	out.BytesToday, out.WorkingLimit = e.BytesToday(now), e.LimitAt(now)
	if r := e.RestAt(now); r != nil {
		out.Resting = &client.Resting{Until: r.Until.UTC(), Code: string(r.Code), Reason: r.Reason}
	}
	if p := e.Park; p.Held || !p.Until.IsZero() && !p.Untried() {
		out.Parked = &client.Parked{Held: p.Held, Code: string(p.Code), Reason: p.Reason, Remedy: p.Code.Remedy()}
		if !p.Held {
			out.Parked.Until = when(p.Until)
		}
	}
	return out
}

func endpointSpec(s client.EndpointSpec) migration.EndpointSpec {
	return migration.EndpointSpec{
		Preset: s.Preset, Host: s.Host, Port: s.Port, Security: migration.Security(s.Security), Auth: s.Auth,
		Trust:         migration.Trust{TLSPin: s.TLSPin, TLSInsecure: s.TLSInsecure},
		LoginTemplate: s.LoginTemplate, AdminUser: s.AdminUser, TestMailbox: s.TestMailbox,
		MaxConcurrentMigrations: s.MaxConcurrentMigrations, MaxConcurrentIncrementalSyncs: s.MaxConcurrentIncrementalSyncs,
		ConnectionsPerMailbox: s.ConnectionsPerMailbox, Compress: s.Compress, Namespaces: s.Namespaces,
		Hours: migration.Hours(s.Hours), DailyBytes: s.DailyBytes, DailyBytesPerMailbox: s.DailyBytesPerMailbox, BytesPerSecond: s.BytesPerSecond, MessagesPerSecond: s.MessagesPerSecond,
	}
}

func stages(in []control.Stage) []client.Stage {
	out := make([]client.Stage, len(in))
	for i, s := range in {
		out[i] = client.Stage{Name: s.Name, OK: s.OK, Detail: s.Detail, Milliseconds: float64(s.Took.Microseconds()) / 1000}
		if s.Fault != nil {
			out[i].Code, out[i].Remedy = string(s.Fault.Code), s.Fault.Code.Remedy()
			if out[i].Detail == "" {
				out[i].Detail = s.Fault.Reason
			}
		}
	}
	return out
}

func discoveryWire(d control.Discovery) client.Discovery {
	out := client.Discovery{Stages: stages(d.Stages), Steps: []client.DiscoveryStep{}, From: d.From, Note: d.Note, Command: d.Command()}
	for _, s := range d.Steps {
		out.Steps = append(out.Steps, client.DiscoveryStep(s))
	}
	if s := d.Server; s != nil {
		out.Found, out.Host, out.Port, out.Security = true, s.Host, s.Port, string(s.Security)
		out.Preset, out.Auth, out.Login, out.UserName, out.Unproven = s.Preset, d.Auth(), string(s.Login), s.UserName, s.Unproven
	}
	return out
}

func batchSpec(s client.BatchSpec) (migration.BatchSpec, error) {
	interval, err := parseDuration("resyncInterval", s.ResyncInterval)
	if err != nil {
		return migration.BatchSpec{}, err
	}
	since, err := parseMoment("since", s.Since)
	if err != nil {
		return migration.BatchSpec{}, err
	}
	before, err := parseMoment("before", s.Before)
	if err != nil {
		return migration.BatchSpec{}, err
	}
	out := migration.BatchSpec{
		Type: s.Type, SourceEndpoint: s.SourceEndpoint, TargetEndpoint: s.TargetEndpoint, AutoStart: s.AutoStart,
		ExcludeFolders: s.ExcludeFolders, IncludeFolders: s.IncludeFolders, MapFolders: folderRules(s.MapFolders),
		MailSince: since, MailBefore: before, MaxMessageSize: s.MaxMessageSize, BadItemLimit: s.BadItemLimit, Deletions: s.Deletions,
		ResyncInterval: interval, Notify: s.Notify, NewestFirst: s.NewestFirst,
	}
	if s.StartAt != nil {
		out.StartAt = s.StartAt.UTC()
	}
	return out, nil
}

func folderRules(in []client.FolderRule) []migration.FolderRule {
	var out []migration.FolderRule
	for _, r := range in {
		out = append(out, migration.FolderRule(r))
	}
	return out
}

func folderRulesWire(in []migration.FolderRule) []client.FolderRule {
	out := make([]client.FolderRule, len(in))
	for i, r := range in {
		out[i] = client.FolderRule(r)
	}
	return out
}

func batchWire(b control.Batch) client.Batch {
	out := client.Batch{
		Name: b.Name, Type: b.Type, SourceEndpoint: b.SourceEndpoint, TargetEndpoint: b.TargetEndpoint,
		AutoStart: b.AutoStart, StartAt: when(b.StartAt), CompleteAt: when(b.CompleteAt),
		ExcludeFolders: list(b.ExcludeFolders), IncludeFolders: list(b.IncludeFolders), MapFolders: folderRulesWire(b.MapFolders),
		Since: when(b.MailSince), Before: when(b.MailBefore), MaxMessageSize: b.MaxMessageSize, BadItemLimit: b.BadItemLimit, Deletions: b.Deletions,
		ResyncInterval: duration(b.ResyncInterval), Notify: list(b.Notify), NewestFirst: b.NewestFirst,
		Status: string(b.Status), Counts: counts(b.Summary.Counts),
		Messages: messages(b.Summary.Messages), Bytes: bytesOf(b.Summary.Messages),
		CreatedAt: b.CreatedAt.UTC(), StartedAt: when(b.StartedAt), LastSyncedAt: when(b.Summary.LastSyncedAt),
	}
	if b.Rate.BytesPerSecond > 0 {
		n := int64(b.Rate.BytesPerSecond)
		out.BytesPerSecond = &n
	}
	if b.Rate.ETA > 0 {
		n := int64(b.Rate.ETA.Seconds())
		out.ETASeconds = &n
	}
	return out
}

// counts has a line for every status, in the API's spelling: needsCredentials.
func counts(c migration.UserCounts) map[string]int {
	out := map[string]int{"total": c.Total()}
	for _, s := range migration.UserStatuses {
		name := string(s)
		out[strings.ToLower(name[:1])+name[1:]] = c.ByStatus[s]
	}
	return out
}

func messages(t migration.Tally) client.Messages {
	return client.Messages{
		Seen: t.Seen, Unchanged: t.Unchanged, Copied: t.Copied, Adopted: t.Adopted, Skipped: t.Skipped, Failed: t.Failed,
		Redelivered: t.Redelivered, Surplus: t.Surplus, MovedAtSource: t.MovedAtSource, Deleted: t.Deleted, KeptAtTarget: t.KeptAtTarget,
	}
}

func bytesOf(t migration.Tally) client.Bytes {
	return client.Bytes{Copied: t.Bytes, Total: t.BytesTotal}
}

func userWire(u migration.User) client.User {
	m := u.Messages()
	return client.User{
		EmailAddress: u.EmailAddress, UserName: u.UserName, TargetUserName: u.TargetUserName,
		Status: string(u.Status), Code: string(u.Code), Reason: u.Reason, Remedy: u.Code.Remedy(),
		Messages: messages(m), Bytes: bytesOf(m), DeletionsAsked: u.DeletionsAsked,
		Folders:      client.Folders{Done: m.FoldersDone, Total: m.Folders},
		LastSyncedAt: when(u.LastSyncedAt), NextSyncAt: when(u.NextRunAt), Attempts: u.Attempts, ResumesAt: when(u.Resumes),
	}
}

func itemWire(i migration.UserItem) client.Item {
	return client.Item{
		EmailAddress: i.EmailAddress, Folder: i.Folder, UID: i.UID, MessageID: i.MessageID, Date: when(i.Date), Size: i.Size,
		Code: string(i.Code), Reason: i.Reason, Remedy: i.Code.Remedy(),
	}
}

func eventWire(e control.Event) client.Event {
	out := client.Event{ID: e.ID, Kind: e.Kind, At: e.At.UTC(), Actor: e.Actor, EmailAddress: e.EmailAddress, Data: e.Data}
	if out.Data == nil {
		out.Data = map[string]any{}
	}
	return out
}
