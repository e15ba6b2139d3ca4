package control

import (
	"reflect"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestBatchName(t *testing.T) {
	for file, want := range map[string]string{
		"pilot.csv": "pilot", "My pilot (2).csv": "My-pilot--2-", `C:\Users\x\wave 1.txt`: "wave-1", "/tmp/a.b.csv": "a.b",
		"中文.csv": "", ".csv": "", "": "", "..": "",
	} {
		if got := BatchName(file); got != want {
			t.Errorf("BatchName(%q) = %q, want %q", file, got, want)
		}
	}
}

func TestTimeLeftIsToldOnlyFromARate(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	look := func(copied int64) migration.Summary {
		return migration.Summary{
			Counts:   migration.UserCounts{ByStatus: map[migration.UserStatus]int{migration.UserSyncing: 2, migration.UserQueued: 2}},
			Messages: migration.Tally{Bytes: copied, BytesTotal: 2000},
		}
	}
	r := newRates()
	steps := []struct {
		story  string
		status migration.BatchStatus
		after  time.Duration
		copied int64
		want   Rate
	}{
		{"the first look knows no rate", migration.BatchSyncing, 0, 0, Rate{}},
		{"a look too soon after it neither", migration.BatchSyncing, time.Second, 500, Rate{}},
		// Two of four mailboxes have 2,000 bytes, so all have 4,000: 3,000 are left.
		{"then there is one", migration.BatchSyncing, 10 * time.Second, 1000, Rate{BytesPerSecond: 100, ETA: 30 * time.Second}},
		{"nothing moves", migration.BatchSyncing, 10 * time.Minute, 1000, Rate{}},
		{"in step", migration.BatchSynced, 11 * time.Minute, 2000, Rate{}},
		{"begun anew", migration.BatchSyncing, 12 * time.Minute, 2000, Rate{}},
	}
	for _, s := range steps {
		if got := r.observe(1, s.status, look(s.copied), at.Add(s.after)); got != s.want {
			t.Errorf("%s: got %+v, want %+v", s.story, got, s.want)
		}
	}
}

func TestEndpointSpecs(t *testing.T) {
	for name, tt := range map[string]struct {
		in, want migration.EndpointSpec
	}{
		"tls": {
			migration.EndpointSpec{Host: " imap.example.com. "},
			migration.EndpointSpec{Host: "imap.example.com", Port: 993, Security: migration.TLS, Auth: "password", MaxConcurrentMigrations: 20, MaxConcurrentIncrementalSyncs: 10, ConnectionsPerMailbox: 1},
		},
		"starttls, few at once": {
			migration.EndpointSpec{Host: "h", Security: migration.StartTLS, MaxConcurrentMigrations: 3},
			migration.EndpointSpec{Host: "h", Port: 143, Security: migration.StartTLS, Auth: "password", MaxConcurrentMigrations: 3, MaxConcurrentIncrementalSyncs: 3, ConnectionsPerMailbox: 1},
		},
	} {
		got := tt.in
		if err := completeEndpointSpec(&got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %+v, %v, want %+v", name, got, err, tt.want)
		}
	}
}

func TestConnectionsPerMailbox(t *testing.T) {
	for _, tt := range []struct {
		preset  string
		n       int
		refused bool
	}{
		{"", 16, false},
		{"", 17, true},
		{"", -1, true},
		{"dovecot", 10, false},
		{"dovecot", 11, true},
		{"courier", 4, false},
		{"courier", 5, true},
	} {
		s := migration.EndpointSpec{Host: "h", Preset: tt.preset, ConnectionsPerMailbox: tt.n}
		err := completeEndpointSpec(&s)
		if (err != nil) != tt.refused {
			t.Errorf("%d at preset %q: %v", tt.n, tt.preset, err)
		}
		if err == nil && s.ConnectionsPerMailbox != tt.n {
			t.Errorf("%d became %d", tt.n, s.ConnectionsPerMailbox)
		}
	}
}
