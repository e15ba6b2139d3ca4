package migration

import (
	"fmt"
	"slices"
	"time"
)

// Security is how a connection is protected.
type Security string

// The kinds of security.
const (
	TLS      Security = "tls"      // from the first byte (port 993)
	StartTLS Security = "starttls" // upgraded before login, or refused
	Plain    Security = "none"     // by the operator's explicit word only
)

// Endpoint is one mail system of one organisation: where its mailboxes are and how
// to log in to them.
type Endpoint struct {
	ID    int64
	OrgID int64
	Name  string
	EndpointSpec
	// AdminSecret is the administrator's password, sealed; nil without.
	AdminSecret []byte
	// AdminWorkedAt is when a pass last got in with that password; zero: never.
	AdminWorkedAt time.Time
	// ScopeSize is how many mailboxes may move here by the endpoint's scope; nil is no
	// list: all may.
	ScopeSize *int
	Park      Park
	Working   Working
	Traffic   Traffic
	CreatedAt time.Time
}

// EndpointSpec is what an operator sets.
type EndpointSpec struct {
	Preset   string
	Host     string
	Port     int
	Security Security
	Trust
	Auth string // "password" or "xoauth2"
	// LoginTemplate makes an administrator's login name for a user, such as
	// "{user}*{admin}" ({user}, {domain}, {admin}); "sasl-plain" logs in as the
	// administrator with the user as authorization identity (RFC 4616); "" logs in
	// as the user.
	LoginTemplate string
	AdminUser     string
	// TestMailbox is whom the administrator opens when the endpoint is tested.
	TestMailbox string

	// MaxConcurrentMigrations bounds all passes at the endpoint over the whole fleet,
	// MaxConcurrentIncrementalSyncs the resyncs among them.
	MaxConcurrentMigrations       int
	MaxConcurrentIncrementalSyncs int
	// ConnectionsPerMailbox is how many connections one pass may have here at once; the
	// smaller one of both endpoints counts. A pass is one pass in every limit.
	ConnectionsPerMailbox int

	// Namespaces are those beside the personal one whose folders belong to the mailbox too
	// (OtherUsers, SharedFolders).
	Namespaces []string

	// Compress has connections compressed (RFC 4978) where the server can do it.
	Compress bool

	// Further limits over the whole fleet; 0 and "" are none. DailyBytes is of messages
	// copied, between two midnights in UTC.
	Hours      Hours
	DailyBytes int64
	// DailyBytesPerMailbox is DailyBytes for each mailbox: 0 is what the preset knows of
	// its provider, NoDailyBytes no limit whatever it knows.
	DailyBytesPerMailbox int64
	BytesPerSecond       int64
	MessagesPerSecond    int64
}

// The namespaces beside the personal one (RFC 2342).
const (
	OtherUsers    = "others" // folders of other users that they let this one see
	SharedFolders = "shared" // of nobody: public folders
)

// CheckNamespaces returns the list sorted and each once, or refuses what is none.
func CheckNamespaces(list []string) ([]string, error) {
	for _, n := range list {
		if n != OtherUsers && n != SharedFolders {
			return nil, fmt.Errorf("namespace %q is none of %s, %s", Clean(n), OtherUsers, SharedFolders)
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(list))), nil
}

// The defaults of an EndpointSpec.
const (
	DefaultMaxMigrations       = 20
	DefaultMaxIncrementalSyncs = 10
	DefaultConnections         = 1
)

// NoDailyBytes is a DailyBytesPerMailbox that bounds nothing.
const NoDailyBytes = -1

// Park is an endpoint at rest after a fault that is its own, not its users': no
// pass is admitted until Until, then one goes first as a probe.
type Park struct {
	Until    time.Time // zero: not parked
	Interval time.Duration
	Code     Code
	Reason   string
	// Held is set after a rejected administrator login: nothing is tried again until
	// an operator changes the endpoint.
	Held bool
}

// Untried is the park of an endpoint with a new administrator's password: one pass goes
// first. Were the password wrong, twenty at once would lock the account.
func Untried(now time.Time) Park { return Park{Until: now} }

// Untried reports whether nothing went wrong yet, and one pass goes first all the same.
func (p Park) Untried() bool { return p.Code == "" && !p.Until.IsZero() }

// Bounds of the time between probes of a parked endpoint.
const (
	minParkInterval = 10 * time.Second
	maxParkInterval = 5 * time.Minute
)

// ParkAfter returns the endpoint's park after a fault of scope endpoint.
func ParkAfter(p Park, f *Fault, now time.Time) Park {
	next := Park{Interval: min(max(2*p.Interval, minParkInterval), maxParkInterval), Code: f.Code, Reason: f.Reason}
	next.Until = now.Add(next.Interval)
	if f.RetryAfter > next.Interval {
		next.Until = now.Add(f.RetryAfter)
	}
	next.Held = f.Code == AuthFailed || f.Code == CertificateInvalid
	return next
}
