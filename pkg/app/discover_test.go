package app

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/discover"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// The finder knows the providers as the presets do, with the form of their logins.
func TestTheFinderKnowsThePresets(t *testing.T) {
	f, err := newFinder(nil, "192.0.2.53")
	if err != nil || f.Resolver != "192.0.2.53:53" {
		t.Fatalf("resolver %v, %v", f, err)
	}
	want := discover.Server{Preset: "icloud", Host: "imap.mail.me.com", Port: 993, Security: migration.TLS, Login: discover.LocalPart}
	if got, known := f.Presets.OfDomain("me.com"); !known || got != want {
		t.Errorf("of a domain: %+v, %v", got, known)
	}
	want = discover.Server{Preset: "gmail", Host: "imap.gmail.com", Port: 993, Security: migration.TLS, Login: discover.FullAddress}
	if got, pattern, known := f.Presets.OfExchanger("aspmx.l.google.com"); !known || got != want || pattern != "*.google.com" {
		t.Errorf("of an exchanger: %+v by %q, %v", got, pattern, known)
	}
	if got := f.Presets.OfHost("hwimap.exmail.qq.com"); got != "exmail" {
		t.Errorf("of a host: %q", got)
	}
	if _, known := f.Presets.OfDomain("example.org"); known {
		t.Error("a stranger is known")
	}
	if _, err := newFinder(nil, "dns.example.org"); err == nil {
		t.Error("a resolver by name")
	}
}
