package control

import (
	"encoding/hex"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/csvimport"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/provider"
)

// Bounds of what an operator may set.
const (
	maxList           = 200
	maxText           = 1024
	minResyncInterval = time.Second
	maxResyncInterval = 90 * 24 * time.Hour
	maxConcurrent     = 100_000
)

var namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// checkName holds names to what is safe in a path, a file name and a shell.
func checkName(what, name string) error {
	if !namePattern.MatchString(name) || strings.Trim(name, ".") == "" {
		return fault(migration.InvalidArgument,
			"%s name %q: 1 to 64 letters, digits, -, _ and . are allowed", what, migration.Clean(name))
	}
	return nil
}

// BatchName makes a batch's name from a CSV file's: without extension, other
// characters become "-". "" where nothing is left.
func BatchName(file string) string {
	name := path.Base(strings.ReplaceAll(file, `\`, "/"))
	name = strings.TrimSuffix(name, path.Ext(name))
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && namePattern.MatchString(string(r)) {
			return r
		}
		return '-'
	}, name)
	if len(name) > 64 {
		name = name[:64]
	}
	if strings.Trim(name, "-.") == "" {
		return ""
	}
	return name
}

// folderTokens stand for folders by their role.
var folderTokens = []string{"#Inbox#", "#Sent#", "#Drafts#", "#Junk#", "#Trash#", "#Archive#"}

func (c *Control) completeBatchSpec(s *migration.BatchSpec) error {
	if s.Type == "" {
		s.Type = string(csvimport.IMAP)
	}
	if s.Deletions == "" {
		s.Deletions = migration.Keep
	}
	if s.ResyncInterval == 0 {
		s.ResyncInterval = c.interval
	}
	switch {
	case !slices.Contains(csvimport.Kinds(), csvimport.Kind(s.Type)):
		return fault(migration.InvalidArgument, "batch type %q is not known: imap, staged, crossTenant", migration.Clean(s.Type))
	case s.Deletions != migration.Keep && s.Deletions != migration.Mirror:
		return fault(migration.InvalidArgument, "deletions %q is not known: keep, mirror", migration.Clean(s.Deletions))
	case s.ResyncInterval < minResyncInterval || s.ResyncInterval > maxResyncInterval:
		return fault(migration.InvalidArgument, "resyncInterval %s is not between %s and %s", s.ResyncInterval, minResyncInterval, maxResyncInterval)
	case !s.MailSince.IsZero() && !s.MailBefore.IsZero() && !s.MailSince.Before(s.MailBefore):
		return fault(migration.InvalidArgument, "no message is from the time since %s and before %s",
			s.MailSince.Format(time.RFC3339), s.MailBefore.Format(time.RFC3339))
	case s.MaxMessageSize < 0:
		return fault(migration.InvalidArgument, "maxMessageSize %d is below 0: give the limit in bytes, or 0 for the target's own", s.MaxMessageSize)
	case s.BadItemLimit != nil && *s.BadItemLimit < 0:
		return fault(migration.InvalidArgument, "badItemLimit %d is below 0: give how many messages of a user may be skipped, or none for any number", *s.BadItemLimit)
	case s.AutoStart && !s.StartAt.IsZero():
		return fault(migration.InvalidArgument, "autoStart and startAt exclude each other")
	case len(s.ExcludeFolders) > maxList || len(s.IncludeFolders) > maxList || len(s.Notify) > maxList:
		return fault(migration.InvalidArgument, "at most %d folders to exclude, to include and addresses to notify", maxList)
	}
	for _, f := range slices.Concat(s.ExcludeFolders, s.IncludeFolders) {
		if err := checkFolderRule(f); err != nil {
			return err
		}
	}
	if problems := migration.FolderRuleProblems(s.MapFolders); problems != nil {
		refused := &ImportError{Fault: fault(migration.InvalidArgument, "mapFolders: %s", problems[0])}
		if n := len(problems); n > 1 {
			refused.Fault = fault(migration.InvalidArgument, "%d of the mapping rules cannot be followed; nothing was stored", n)
		}
		for _, reason := range problems {
			refused.Problems = append(refused.Problems, csvimport.Problem{Column: "mapFolders", Reason: reason})
		}
		return refused
	}
	for _, address := range s.Notify {
		if err := checkMailAddress("notify", address); err != nil {
			return err
		}
	}
	return nil
}

func checkFolderRule(f string) error {
	if f == "" || len(f) > maxText || migration.Clean(f) != f {
		return fault(migration.InvalidArgument, "folder %q is empty, too long, or holds control characters", migration.Clean(f))
	}
	if len(f) > 2 && f[0] == '#' && f[len(f)-1] == '#' &&
		!slices.ContainsFunc(folderTokens, func(t string) bool { return strings.EqualFold(t, f) }) {
		return fault(migration.InvalidArgument, "folder token %s is none of %s", f, strings.Join(folderTokens, " "))
	}
	return nil
}

// completeEndpointSpec fills in defaults and refuses what cannot work.
func completeEndpointSpec(s *migration.EndpointSpec) error {
	if s.Preset != "" {
		p, known := provider.Lookup(s.Preset)
		if !known {
			return fault(migration.InvalidArgument, "preset %q is not known: see mailhaul provider list", migration.Clean(s.Preset))
		}
		*s = p.Apply(*s)
	}
	s.Host = strings.TrimSuffix(strings.TrimSpace(s.Host), ".")
	if s.Security == "" {
		s.Security = migration.TLS
	}
	if s.Port == 0 {
		s.Port = 993
		if s.Security != migration.TLS {
			s.Port = 143
		}
	}
	if s.Auth == "" {
		s.Auth = "password"
	}
	if s.MaxConcurrentMigrations == 0 {
		s.MaxConcurrentMigrations = migration.DefaultMaxMigrations
	}
	if s.ConnectionsPerMailbox == 0 {
		s.ConnectionsPerMailbox = migration.DefaultConnections
	}
	if s.MaxConcurrentIncrementalSyncs == 0 {
		s.MaxConcurrentIncrementalSyncs = min(migration.DefaultMaxIncrementalSyncs, s.MaxConcurrentMigrations)
	}
	for _, text := range []string{s.Preset, s.LoginTemplate, s.AdminUser, s.TestMailbox} {
		if len(text) > maxText || migration.Clean(text) != text {
			return fault(migration.InvalidArgument, "%q is too long or holds control characters", migration.Clean(text))
		}
	}
	if err := completeTrust(s); err != nil {
		return err
	}
	var err error
	if s.Namespaces, err = migration.CheckNamespaces(s.Namespaces); err != nil {
		return fault(migration.InvalidArgument, "%v", err)
	}
	return checkEndpointSpec(s)
}

// completeTrust writes a pin in one form, and refuses what would not be looked at.
func completeTrust(s *migration.EndpointSpec) error {
	switch {
	case s.Security == migration.Plain && s.Trust != (migration.Trust{}):
		return fault(migration.InvalidArgument, "tlsPin and tlsInsecure need security tls or starttls: with none there is no certificate")
	case s.TLSPin != "" && s.TLSInsecure:
		return fault(migration.InvalidArgument, "tlsPin and tlsInsecure exclude each other: one accepts one key, the other every certificate")
	case s.TLSPin == "":
		return nil
	}
	pin, err := migration.ParsePin(s.TLSPin)
	if err != nil {
		return fault(migration.InvalidArgument, "tlsPin: %v; the refusal of a certificate names its pin (mailhaul endpoint test)", err)
	}
	s.TLSPin = hex.EncodeToString(pin[:])
	return nil
}

func checkEndpointSpec(s *migration.EndpointSpec) error {
	if err := checkHost(s.Host); err != nil {
		return err
	}
	switch {
	case s.Port < 1 || s.Port > 65535:
		return fault(migration.InvalidArgument, "port %d is not between 1 and 65535", s.Port)
	case s.Security != migration.TLS && s.Security != migration.StartTLS && s.Security != migration.Plain:
		return fault(migration.InvalidArgument, "security %q is none of tls, starttls, none", migration.Clean(string(s.Security)))
	case s.Auth != "password":
		return fault(migration.InvalidArgument, "auth %q is not supported yet: set it to password (--auth password), with the users' app passwords where the provider wants such", migration.Clean(s.Auth))
	case s.AdminUser != "" && s.LoginTemplate == "":
		return fault(migration.InvalidArgument, "adminUser needs a loginTemplate, such as {user}*{admin} or %s", migration.SASLPlain)
	case s.LoginTemplate != "" && s.AdminUser == "":
		return fault(migration.InvalidArgument, "loginTemplate needs an adminUser")
	case s.LoginTemplate != "" && s.LoginTemplate != migration.SASLPlain && !strings.Contains(s.LoginTemplate, "{user}"):
		return fault(migration.InvalidArgument, "loginTemplate %q has no {user}: it would open one mailbox for everybody", s.LoginTemplate)
	case s.MaxConcurrentMigrations < 1 || s.MaxConcurrentMigrations > maxConcurrent:
		return fault(migration.InvalidArgument, "maxConcurrentMigrations %d is not between 1 and %d", s.MaxConcurrentMigrations, maxConcurrent)
	case s.MaxConcurrentIncrementalSyncs < 1 || s.MaxConcurrentIncrementalSyncs > s.MaxConcurrentMigrations:
		return fault(migration.InvalidArgument, "maxConcurrentIncrementalSyncs %d is not between 1 and maxConcurrentMigrations, %d",
			s.MaxConcurrentIncrementalSyncs, s.MaxConcurrentMigrations)
	}
	if err := checkConnections(s); err != nil {
		return err
	}
	return checkLimits(s)
}

// maxConnections is how many connections a pass may have to each side.
const maxConnections = 16

// checkConnections refuses more connections than the provider lets one mailbox have: a
// pass would be refused those at best, and the mailbox's owner at worst.
func checkConnections(s *migration.EndpointSpec) error {
	if s.ConnectionsPerMailbox < 1 || s.ConnectionsPerMailbox > maxConnections {
		return fault(migration.InvalidArgument, "connectionsPerMailbox %d is not between 1 and %d", s.ConnectionsPerMailbox, maxConnections)
	}
	p, known := provider.Lookup(s.Preset)
	if known && p.ConnectionsPerUser > 0 && s.ConnectionsPerMailbox > p.ConnectionsPerUser {
		return fault(migration.InvalidArgument, "connectionsPerMailbox %d is above the %d that preset %s knows of, the mailbox's owner among them: mailhaul provider get %s",
			s.ConnectionsPerMailbox, p.ConnectionsPerUser, p.Name, p.Name)
	}
	return nil
}

// checkLimits checks the limits besides passes at once.
func checkLimits(s *migration.EndpointSpec) error {
	for _, limit := range []struct {
		name string
		n    int64
	}{{"dailyBytes", s.DailyBytes}, {"bytesPerSecond", s.BytesPerSecond}, {"messagesPerSecond", s.MessagesPerSecond}} {
		if limit.n < 0 {
			return fault(migration.InvalidArgument, "%s %d is below 0: give the limit, or 0 for none", limit.name, limit.n)
		}
	}
	if s.DailyBytesPerMailbox < migration.NoDailyBytes {
		return fault(migration.InvalidArgument, "dailyBytesPerMailbox %d is below 0: give the limit, 0 for what the preset knows, or -1 for none", s.DailyBytesPerMailbox)
	}
	if len(s.Hours) > maxText {
		return fault(migration.InvalidArgument, "hours are longer than %d bytes", maxText)
	}
	if _, err := s.Hours.Week(); err != nil {
		return fault(migration.InvalidArgument, "%v", err)
	}
	return nil
}

// checkLogin refuses names and passwords that no server takes: CR, LF and NUL cannot
// be sent.
func checkLogin(what, s string) error {
	if len(s) > maxText || strings.ContainsAny(s, "\r\n\x00") {
		return fault(migration.InvalidArgument, "%s is longer than %d bytes or holds a line break", what, maxText)
	}
	return nil
}
