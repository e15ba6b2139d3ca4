package config

import (
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// Standalone is the configuration of everything in one process. Database, Redis
// and master key are optional: without them the data directory holds a database
// and a key, and the process its own queue.
type Standalone struct {
	Common
	HTTP
	Mail
	BootstrapToken Secret
	ResyncInterval time.Duration
	Resolver       string
	Concurrency    int
	Slice          time.Duration
	ByteBudget     int64
	DataDir        string
	// Settle is as in Worker.
	Settle time.Duration
}

func (s *Standalone) table() table {
	var api API
	t := s.Common.table()
	for i := range t {
		t[i].advice = ""
		switch t[i].name {
		case "LOG_FORMAT":
			t[i].preset = "console"
		case "ALLOW_PRIVATE_NETWORKS":
			t[i].preset = "true" // one machine, one operator: the mail servers are often beside it
		}
	}
	t = slices.Concat(t, s.HTTP.table(defaultAPIListen), s.Mail.table())
	return append(t,
		setting{name: "BOOTSTRAP_TOKEN", secret: true, usage: bootstrapUsage, set: func(v string) error {
			err := api.setBootstrapToken(v)
			s.BootstrapToken = api.BootstrapToken
			return err
		}},
		setting{name: "RESYNC_INTERVAL", preset: "24h", usage: "how often a synced mailbox is synced again, where its batch does not say", set: duration(&s.ResyncInterval, time.Second)},
		setting{name: "RESOLVER", usage: resolverUsage, set: text(&s.Resolver)},
		setting{name: "CONCURRENCY", preset: "16", usage: "passes at once", set: count(&s.Concurrency, 1, 10_000)},
		setting{name: "SLICE", preset: "5m", usage: "time after which a pass lets others go first", set: duration(&s.Slice, time.Second)},
		setting{name: "BYTE_BUDGET", preset: defaultByteBudget, usage: byteBudgetUsage, set: bytes(&s.ByteBudget)},
		setting{name: "DATA", usage: "directory for database, key and token (made where missing)", advice: "give a directory of its own with --data", set: text(&s.DataDir)},
	)
}

// StandaloneFlags defines the flags of a process with everything in it.
func StandaloneFlags(flags *pflag.FlagSet) { new(Standalone).table().addFlags(flags) }

// LoadStandalone reads the configuration of a process with everything in it; the
// error is an *Error.
func LoadStandalone(flags *pflag.FlagSet, from Sources) (Standalone, error) {
	var s Standalone
	problems := s.table().load(flags, from)
	return s, problemsError(slices.Concat(problems, s.HTTP.check(), s.Mail.check()))
}
