package migration

import (
	"strings"
	"testing"
	"time"
)

func endpointsOf(limit int, change ...func(source, target *Endpoint)) (source, target *Endpoint) {
	source, target = &Endpoint{Name: "old"}, &Endpoint{Name: "new"}
	source.MaxConcurrentMigrations, target.MaxConcurrentMigrations = limit, limit
	for _, c := range change {
		c(source, target)
	}
	return source, target
}

// pilotOf synced 10 mailboxes of 1,000 messages and 100 MB in 100 s each, five at once.
func pilotOf(change ...func(*Pilot)) Pilot {
	p := Pilot{
		Batch: "pilot", BatchID: 1, Users: 10, Synced: 10, Messages: 10_000, Bytes: 1e9, Work: 1000 * time.Second,
		StartedAt: noon, LastAt: noon.Add(200 * time.Second),
	}
	for _, c := range change {
		c(&p)
	}
	return p
}

func TestEstimateOfABatch(t *testing.T) {
	// A hundred mailboxes like the pilot's: 10,000 s of work.
	load := Workload{Mailboxes: 100, Messages: 100_000, Bytes: 10e9, LargestMessages: 1000, LargestBytes: 100e6}
	pilot := pilotOf()
	tests := []struct {
		name     string
		load     Workload
		limit    int
		capacity int
		pilot    *Pilot
		change   func(source, target *Endpoint)
		from, to time.Duration
		at       int
		bound    string
	}{
		{"as the pilot", load, 10, 0, &pilot, nil, 800 * time.Second, 1250 * time.Second, 10, "10 mailboxes at once"},
		{"few workers", load, 10, 5, &pilot, nil, 1600 * time.Second, 2500 * time.Second, 5, "5 mailboxes at once"},
		{"no more at once than there are", Workload{Mailboxes: 2, Messages: 2000, Bytes: 200e6, LargestMessages: 1000, LargestBytes: 100e6}, 10, 0, &pilot, nil, 80 * time.Second, 125 * time.Second, 2, "2 mailboxes at once"},
		{
			"one large mailbox",
			Workload{Mailboxes: 100, Messages: 100_000, Bytes: 10e9, LargestMessages: 50_000, LargestBytes: 5e9},
			50, 0, &pilot, nil,
			4000 * time.Second, 6250 * time.Second, 50, "the largest mailbox alone",
		},
		{
			"mailboxes of another size",
			Workload{Mailboxes: 10, Messages: 1_000_000, Bytes: 100e9, LargestMessages: 100_000, LargestBytes: 10e9},
			10, 0, &pilot, nil,
			5000 * time.Second, 20_000 * time.Second, 10, "10 mailboxes at once",
		},
		{"a guess is a range", load, 10, 0, nil, nil, 200 * time.Second, 5000 * time.Second, 10, "10 mailboxes at once"},
		{
			"bytes a second", load, 10, 0, &pilot, func(_, target *Endpoint) { target.BytesPerSecond = 1e6 },
			10_000 * time.Second, 10_000 * time.Second, 10, "the bytes a second of endpoint new",
		},
		{
			"messages a second", load, 10, 0, &pilot, func(source, _ *Endpoint) { source.MessagesPerSecond = 10 },
			10_000 * time.Second, 10_000 * time.Second, 10, "the messages a second of endpoint old",
		},
		{
			"bytes a day", load, 10, 0, &pilot, func(source, _ *Endpoint) { source.DailyBytes = 4e9 },
			// Noon to midnight, a whole day, and the last fifth of the work.
			36 * time.Hour, 37 * time.Hour, 10, "10 mailboxes at once, and endpoint old gives 4000000000 bytes a day",
		},
		{
			"bytes a day of one mailbox",
			Workload{Mailboxes: 100, Messages: 100_000, Bytes: 10e9, LargestMessages: 50_000, LargestBytes: 5e9, DailyBytes: 500e6},
			50, 0, &pilot, nil,
			9 * oneDay, 9 * oneDay, 50, "the largest mailbox, of which 500000000 bytes may move in a day",
		},
		{
			"hours", load, 1, 0, &pilot, func(_, target *Endpoint) { target.Hours = "18:00-20:00" },
			// Six hours of waiting, then two hours a day.
			6*time.Hour + 24*time.Hour, 6*time.Hour + 24*time.Hour + 2*time.Hour, 1, "1 mailbox at once, and endpoint new is used 18:00-20:00 only",
		},
		{"nothing to carry", Workload{Mailboxes: 3}, 10, 0, &pilot, nil, 0, 0, 3, "3 mailboxes at once"},
		{
			"for ever",
			Workload{Mailboxes: 1, Messages: 1e12, Bytes: 1e16, LargestMessages: 1e12, LargestBytes: 1e16},
			1, 0, nil, nil,
			longest, longest, 1, "1 mailbox at once",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			source, target := endpointsOf(tt.limit)
			if tt.change != nil {
				tt.change(source, target)
			}
			got := EstimateBatch(tt.load, source, target, tt.capacity, tt.pilot, noon)
			near := func(got, want time.Duration) bool {
				if want >= 6*time.Hour {
					return got >= want-time.Hour && got <= want+time.Hour
				}
				return got.Round(time.Second) == want
			}
			if !near(got.From, tt.from) || !near(got.To, tt.to) || got.Concurrency != tt.at || got.Bound != tt.bound {
				t.Errorf("got %s to %s, %d at once, %q\nwant %s to %s, %d at once, %q", got.From, got.To, got.Concurrency, got.Bound, tt.from, tt.to, tt.at, tt.bound)
			}
			if (got.Pilot != "") != (tt.pilot != nil) {
				t.Errorf("measured with %q", got.Pilot)
			}
		})
	}
}

func TestThePilotThatIsChosen(t *testing.T) {
	load := Workload{Mailboxes: 10, Messages: 10_000, Bytes: 1e9}
	few := pilotOf(func(p *Pilot) { p.Batch, p.Synced, p.Bytes, p.Messages = "few", 2, 200e6, 2000 })
	large := pilotOf(func(p *Pilot) { p.Batch, p.Synced, p.Bytes = "large", 100, 100e9 })
	idle := pilotOf(func(p *Pilot) { p.Batch, p.Messages = "idle", 3 })
	for _, tt := range []struct {
		name   string
		pilots []Pilot
		want   string
	}{
		{"none", nil, ""},
		{"one that carried nothing", []Pilot{idle}, ""},
		{"the larger of those alike", []Pilot{few, pilotOf(), idle}, "pilot"},
		{"one alike before a larger one", []Pilot{large, few}, "few"},
		{"none is alike", []Pilot{large}, "large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if p := ChoosePilot(tt.pilots, load); p != nil {
				got = p.Batch
			}
			if got != tt.want {
				t.Errorf("chose %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWhatAPilotRecommends(t *testing.T) {
	for _, tt := range []struct {
		name     string
		pilot    Pilot
		limit    int
		capacity int
		allowed  [2]Allowance
		change   func(source, target *Endpoint)
		at, size int
		why      string
	}{
		{"all slots were used", pilotOf(), 5, 0, [2]Allowance{}, nil, 10, 2800, "try twice as many"},
		{"it was too small to tell", pilotOf(), 20, 0, [2]Allowance{}, nil, 20, 5700, "does not show what more would do"},
		{"many failed", pilotOf(func(p *Pilot) { p.Users, p.Failed = 11, 1 }), 5, 0, [2]Allowance{}, nil, 5, 1400, "1 of the 11 mailboxes of pilot failed"},
		{
			"the server asked for time", pilotOf(), 5, 0,
			[2]Allowance{},
			func(_, target *Endpoint) { target.Working = Working{Limit: 3, At: noon.Add(time.Minute)} }, 3, 860, "endpoint new asked for time",
		},
		{
			"it did so long before", pilotOf(), 5, 0,
			[2]Allowance{},
			func(_, target *Endpoint) { target.Working = Working{Limit: 3, At: noon.Add(-time.Minute)} }, 10, 2800, "try twice as many",
		},
		{"the server's limit of an address", pilotOf(), 5, 0, [2]Allowance{{PerAddress: 8}}, nil, 8, 2300, "endpoint old lets 8 connections of one address in"},
		{"few workers", pilotOf(), 5, 6, [2]Allowance{}, nil, 10, 2800, "the workers run 6 passes at once"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			source, target := endpointsOf(tt.limit)
			if tt.change != nil {
				tt.change(source, target)
			}
			a := tt.pilot.Advise(source, target, tt.capacity, tt.allowed)
			if a.MaxConcurrentMigrations != tt.at || a.BatchSize != tt.size || !strings.Contains(strings.Join(a.Because, "\n"), tt.why) {
				t.Errorf("got %+v\nwant %d at once, batches of %d, because %q", a, tt.at, tt.size, tt.why)
			}
		})
	}
	if a := pilotOf(func(p *Pilot) { p.Work = 0 }).Advise(nil, nil, 0, [2]Allowance{}); a != nil {
		t.Errorf("of a pilot that tells nothing: %+v", a)
	}
}

func TestConnectionsAreJudged(t *testing.T) {
	for _, tt := range []struct {
		name    string
		limit   int
		each    int
		allowed Allowance
		level   Level
		text    string
	}{
		{"nothing is known", 20, 1, Allowance{}, LevelNote, "no limit of its server on connections is known"},
		{"of one user", 20, 1, Allowance{PerUser: 10}, LevelNote, "10 connections of one user"},
		{"too many for one user", 20, 11, Allowance{PerUser: 10}, LevelWarning, "lower connectionsPerMailbox"},
		{"too many of one address", 20, 2, Allowance{PerUser: 4, PerAddress: 4}, LevelWarning, "lower maxConcurrentMigrations to 2"},
		{"not too many", 4, 1, Allowance{PerUser: 4, PerAddress: 4}, LevelNote, "4 connections of one user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := &Endpoint{Name: "old"}
			e.MaxConcurrentMigrations, e.ConnectionsPerMailbox = tt.limit, tt.each
			got := JudgeConnections(e, Source, tt.allowed)
			if len(got) == 0 || got[0].Level != tt.level || !strings.Contains(got[0].Text, tt.text) {
				t.Errorf("got %+v", got)
			}
		})
	}
}
