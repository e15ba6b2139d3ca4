package config

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// Common is what every server process needs.
type Common struct {
	DatabaseURL Secret // postgres://… or sqlite:///abs/path.db
	RedisURL    Secret
	MasterKey   Secret // one or more keys, separated by commas or line ends
	// AllowPrivateNetworks is "", "true", or a list of CIDRs.
	AllowPrivateNetworks string
	LogLevel             string // debug, info, warn, error
	LogFormat            string // json, console
}

// HTTP is how a process is reached.
type HTTP struct {
	Listen    string // HOST:PORT
	TLSCert   string // files; both or none
	TLSKey    string
	PlainHTTP bool
	// MetricsListen serves /metrics and /readyz?verbose without a token; "" for none.
	MetricsListen string
}

// Mail is how mail is sent; both empty: none is.
type Mail struct {
	SMTPURL  Secret // smtp://user:password@host:587, smtps://…, smtp+plain://…
	SMTPFrom string
}

// API is the control plane's configuration.
type API struct {
	Common
	HTTP
	Mail
	// BootstrapToken counts as an owner's while the store has no token.
	BootstrapToken Secret
	ResyncInterval time.Duration // the default for new batches
	Resolver       string        // of discovery: IP or IP:PORT; "" for the system's
}

// Worker is the configuration of a process that runs passes.
type Worker struct {
	Common
	HTTP
	Concurrency int           // passes at once
	Slice       time.Duration // of one pass
	ByteBudget  int64         // of messages in memory, all passes together
	Settle      time.Duration // as in mailsync.Job; no operator's setting
}

const (
	defaultAPIListen    = "127.0.0.1:8080"
	defaultWorkerListen = "127.0.0.1:9090"
	minBootstrapToken   = 20
	defaultByteBudget   = "128M"
	byteBudgetUsage     = "bytes of messages that all passes together hold in memory, such as 64M; what finds no room goes straight through"
	bootstrapUsage      = "an owner's token while there is no other (at least 20 characters)"
	resolverUsage       = "server of DNS, as IP or IP:PORT, that is asked where a mailbox is (the system's own)"
	keyAdvice           = "make a key with \"mailhaul vault keygen\", keep it safe, and give it to every process in MAILHAUL_MASTER_KEY, or in a file named by MAILHAUL_MASTER_KEY_FILE"
	databaseAdvice      = "give the database, such as sqlite:///var/lib/mailhaul/mailhaul.db (absolute path) or postgres://user:password@host:5432/database, the same to every process"
	openPlainAdvice     = "is reachable from other machines and would speak plain HTTP: set MAILHAUL_TLS_CERT and MAILHAUL_TLS_KEY, or MAILHAUL_PLAIN_HTTP=true where a proxy in front does TLS"
	redisAdvice         = "give the Redis that carries the work, such as redis://127.0.0.1:6379/0, the same to every process"
)

func (c *Common) table() table {
	return table{
		{name: "DATABASE_URL", secret: true, usage: "the database: sqlite:///abs/path.db, or postgres://user:password@host:5432/database for processes on many hosts", advice: databaseAdvice, set: secretURL(&c.DatabaseURL, "sqlite://", "postgres://", "postgresql://")},
		{name: "REDIS_URL", secret: true, usage: "the Redis that carries the work: redis://…, rediss://… or redis-sentinel://…", advice: redisAdvice, set: secretURL(&c.RedisURL, "redis://", "rediss://", "redis-sentinel://")},
		{name: "MASTER_KEY", secret: true, usage: "master keys, separated by commas or line ends: the first seals, all open; made by \"mailhaul vault keygen\"", advice: keyAdvice, set: secret(&c.MasterKey)},
		{name: "ALLOW_PRIVATE_NETWORKS", usage: "true or a list of CIDRs: mail servers may have private addresses", set: text(&c.AllowPrivateNetworks)},
		{name: "LOG_LEVEL", preset: "info", usage: "debug, info, warn or error", set: oneOf(&c.LogLevel, "debug", "info", "warn", "error")},
		{name: "LOG_FORMAT", preset: "json", usage: "json or console", set: oneOf(&c.LogFormat, "json", "console")},
	}
}

func (h *HTTP) table(listen string) table {
	return table{
		{name: "LISTEN", preset: listen, usage: "address to listen on", set: listenAddress(&h.Listen)},
		{name: "TLS_CERT", usage: "file with the certificate chain", set: text(&h.TLSCert)},
		{name: "TLS_KEY", usage: "file with the certificate's key", set: text(&h.TLSKey)},
		{name: "PLAIN_HTTP", usage: "speak plain HTTP also to other machines", set: boolean(&h.PlainHTTP)},
		{name: "METRICS_LISTEN", usage: "further address for /metrics and /readyz, without a token", set: listenAddress(&h.MetricsListen)},
	}
}

func (m *Mail) table() table {
	return table{
		{name: "SMTP_URL", secret: true, usage: "the mail server for reports: smtp://user:password@host:587 (STARTTLS), smtps://…, or smtp+plain://… without TLS", set: secretURL(&m.SMTPURL, "smtp://", "smtps://", "smtp+plain://")},
		{name: "SMTP_FROM", usage: "the sender of reports, such as mailhaul@example.com", set: text(&m.SMTPFrom)},
	}
}

// check returns what is wrong with m as a whole.
func (m *Mail) check() (problems []string) {
	if m.SMTPURL.Empty() != (m.SMTPFrom == "") {
		problems = append(problems, "MAILHAUL_SMTP_URL and MAILHAUL_SMTP_FROM belong together: only one is set")
	}
	return problems
}

func (a *API) table() table {
	return append(slices.Concat(a.Common.table(), a.HTTP.table(defaultAPIListen), a.Mail.table()),
		setting{name: "BOOTSTRAP_TOKEN", secret: true, usage: bootstrapUsage, set: a.setBootstrapToken},
		setting{name: "RESYNC_INTERVAL", preset: "24h", usage: "how often a synced mailbox is synced again, where its batch does not say", set: duration(&a.ResyncInterval, time.Second)},
		setting{name: "RESOLVER", usage: resolverUsage, set: text(&a.Resolver)},
	)
}

func (a *API) setBootstrapToken(v string) error {
	if len(v) < minBootstrapToken {
		return fmt.Errorf("has %d characters: at least %d, and hard to guess", len(v), minBootstrapToken)
	}
	a.BootstrapToken = NewSecret(v)
	return nil
}

func (w *Worker) table() table {
	return append(append(w.Common.table(), w.HTTP.table(defaultWorkerListen)...),
		setting{name: "CONCURRENCY", preset: "64", usage: "passes at once", set: count(&w.Concurrency, 1, 10_000)},
		setting{name: "SLICE", preset: "5m", usage: "time after which a pass lets others go first", set: duration(&w.Slice, time.Second)},
		setting{name: "BYTE_BUDGET", preset: defaultByteBudget, usage: byteBudgetUsage, set: bytes(&w.ByteBudget)},
	)
}

// check returns what is wrong with h as a whole.
func (h *HTTP) check() (problems []string) {
	if (h.TLSCert == "") != (h.TLSKey == "") {
		problems = append(problems, "MAILHAUL_TLS_CERT and MAILHAUL_TLS_KEY belong together: only one is set")
	}
	if h.Listen != "" && !Loopback(h.Listen) && h.TLSCert == "" && !h.PlainHTTP {
		problems = append(problems, fmt.Sprintf("MAILHAUL_LISTEN: %s %s", h.Listen, openPlainAdvice))
	}
	return problems
}

// APIFlags defines the API's flags.
func APIFlags(flags *pflag.FlagSet) { new(API).table().addFlags(flags) }

// LoadAPI reads the API's configuration; the error is an *Error.
func LoadAPI(flags *pflag.FlagSet, from Sources) (API, error) {
	var a API
	problems := a.table().load(flags, from)
	return a, problemsError(slices.Concat(problems, a.HTTP.check(), a.Mail.check()))
}

// WorkerFlags defines the worker's flags.
func WorkerFlags(flags *pflag.FlagSet) { new(Worker).table().addFlags(flags) }

// LoadWorker reads the worker's configuration; the error is an *Error.
func LoadWorker(flags *pflag.FlagSet, from Sources) (Worker, error) {
	var w Worker
	problems := w.table().load(flags, from)
	return w, problemsError(append(problems, w.HTTP.check()...))
}

func problemsError(problems []string) error {
	if len(problems) == 0 {
		return nil
	}
	return &Error{Problems: problems}
}
