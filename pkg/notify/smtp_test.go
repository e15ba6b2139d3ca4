package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/netguard"
	"github.com/mailhaul/mailhaul/test/mailsink"
)

const hush = "Tr0ub4dor&3"

// certified is a certificate for 127.0.0.1, and what trusts it.
func certified(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	t.Cleanup(s.Close)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: pool}
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}

func mailTo(t *testing.T, scheme string, port int, base *tls.Config, attached ...Attachment) *Mail {
	t.Helper()
	s, err := ParseServer(migration.NewSecret(fmt.Sprintf("%s://ann:Tr0ub4dor%%263@127.0.0.1:%d", scheme, port)), "haul@example.com")
	if err != nil {
		t.Fatal(err)
	}
	return NewMail(s, dial, base, func(context.Context, string, string) ([]Attachment, error) { return attached, nil })
}

func delivery(t *testing.T) migration.Delivery {
	t.Helper()
	n := migration.Notice{Type: migration.EventBatchSynced, Timestamp: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Data: migration.NoticeData{
		Org: "acme", Batch: "pilot", Status: "SyncedWithErrors", Users: map[string]int{"Synced": 19, "Failed": 1}, Copied: 77, Bytes: 1234,
	}}
	body, err := json.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return migration.Delivery{ID: 3, EventID: 7, Address: "ops@example.org", Kind: n.Type, Body: string(body)}
}

func TestMailGoesOverTLSWithItsReports(t *testing.T) {
	for _, login := range []bool{false, true} {
		secret, trust := certified(t)
		sink := mailsink.New(t, mailsink.Config{TLS: secret, User: "ann", Password: hush, Login: login})
		csv := Attachment{Name: "pilot-errors.csv", ContentType: "text/csv; charset=utf-8", Write: func(w io.Writer) error {
			_, err := io.WriteString(w, strings.Repeat("EmailAddress,Code\n.leading dot\n", 20))
			return err
		}}
		huge := Attachment{Name: "pilot-statistics.csv", ContentType: "text/csv", Write: func(w io.Writer) error {
			_, err := w.Write(make([]byte, maxAttached+1))
			return err
		}}
		answer, err := mailTo(t, "smtp", sink.Port, trust, csv, huge).Send(t.Context(), delivery(t))
		if err != nil || answer != "accepted by 127.0.0.1" {
			t.Fatalf("answer %q, %v", answer, err)
		}
		mails := sink.Mails()
		if len(mails) != 1 || !mails[0].Secure || mails[0].From != "haul@example.com" || mails[0].To != "ops@example.org" {
			t.Fatalf("got %+v", mails)
		}
		header, parts := read(t, mails[0].Text)
		if got := header.Get("Subject"); got != "Mailhaul: batch pilot is in step, with errors" {
			t.Errorf("subject %q", got)
		}
		if header.Get("Message-ID") == "" || header.Get("Auto-Submitted") != "auto-generated" || header.Get("To") != "<ops@example.org>" {
			t.Errorf("header %v", header)
		}
		for _, want := range []string{"19 users Synced", "1 users Failed", "77 messages copied", "mailhaul report errors pilot --org acme", "pilot-statistics.csv is too large"} {
			if !strings.Contains(parts[""], want) {
				t.Errorf("the text lacks %q:\n%s", want, parts[""])
			}
		}
		if parts["pilot-errors.csv"] != strings.Repeat("EmailAddress,Code\n.leading dot\n", 20) || len(parts) != 2 {
			t.Errorf("parts %q", parts)
		}
	}
}

// read takes a message apart: its parts by file name, the text under "".
func read(t *testing.T, text string) (mail.Header, map[string]string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return m.Header, parts
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		if err != nil {
			t.Fatal(err)
		}
		parts[p.FileName()] = string(body)
	}
}

func TestMailThatIsNotTaken(t *testing.T) {
	secret, trust := certified(t)
	for name, x := range map[string]struct {
		config mailsink.Config
		scheme string
		base   *tls.Config
		verb   string
		words  string
		final  bool
		says   string
	}{
		"busy":                 {mailsink.Config{TLS: secret, User: "ann", Password: hush}, "smtp", trust, "RCPT", "450 later", false, `450 "later"`},
		"nobody of that name":  {mailsink.Config{TLS: secret, User: "ann", Password: hush}, "smtp", trust, "RCPT", "550 no such user", true, `550 "no such user"`},
		"too large":            {mailsink.Config{TLS: secret, User: "ann", Password: hush}, "smtp", trust, ".", "552 too large", true, `552 "too large"`},
		"sender unknown":       {mailsink.Config{TLS: secret, User: "ann", Password: hush}, "smtp", trust, "MAIL", "553 who is that", false, `553 "who is that"`},
		"wrong password":       {mailsink.Config{TLS: secret, User: "ann", Password: "other-" + hush}, "smtp", trust, "", "", false, `log in: 535 "no such login: [redacted]== other-[redacted]`},
		"no STARTTLS":          {mailsink.Config{User: "ann", Password: hush}, "smtp", trust, "", "", false, "does not offer STARTTLS"},
		"certificate unknown":  {mailsink.Config{TLS: secret, User: "ann", Password: hush}, "smtp", nil, "", "", false, "STARTTLS: tls: failed to verify"},
		"the answer was lost":  {mailsink.Config{TLS: secret, User: "ann", Password: hush}, "smtp", trust, ".", "", false, "the server does not take the message: EOF"},
		"no AUTH that we know": {mailsink.Config{TLS: secret}, "smtp", trust, "", "", false, "neither AUTH PLAIN nor AUTH LOGIN"},
		"no TLS on this port":  {mailsink.Config{User: "ann", Password: hush}, "smtps", trust, "", "", false, "secure the connection"},
	} {
		sink := mailsink.New(t, x.config)
		if x.verb != "" {
			sink.Answer(x.verb, x.words)
		}
		_, err := mailTo(t, x.scheme, sink.Port, x.base).Send(t.Context(), delivery(t))
		if err == nil || !strings.Contains(err.Error(), x.says) {
			t.Errorf("%s: got %v, want %q", name, err, x.says)
			continue
		}
		if got := errors.As(err, new(refused)); got != x.final {
			t.Errorf("%s: final is %v, want %v", name, got, x.final)
		}
		if strings.Contains(err.Error(), hush) || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString([]byte("\x00ann\x00"+hush))) {
			t.Errorf("%s: the password is told: %v", name, err)
		}
		if name == "no STARTTLS" && strings.Contains(sink.Heard(), "AUTH") {
			t.Error("the password went in the clear")
		}
	}
}

func TestServersURL(t *testing.T) {
	for text, want := range map[string]string{
		"smtp://mail.example.com":                 "mail.example.com 587 starttls",
		"smtps://u:p@mail.example.com":            "mail.example.com 465 tls",
		"smtp+plain://127.0.0.1:2525":             "127.0.0.1 2525 none",
		"smtp+plain://u:p@127.0.0.1":              "127.0.0.1 25 none",
		"smtp+plain://u:secret@mail.example.com":  "",
		"http://mail.example.com":                 "",
		"smtp://":                                 "",
		"smtp://u:se%ret@mail.example.com":        "",
		"smtp://mail.example.com/path":            "",
		"smtp://mail.example.com?from=secret@x.y": "",
	} {
		s, err := ParseServer(migration.NewSecret(text), "Haul <haul@example.com>")
		got := strings.TrimSpace(s.Host + " " + s.Port + " " + s.TLS)
		if (err == nil) != (want != "") || err == nil && (got != want || s.From != "haul@example.com") {
			t.Errorf("%s: %q, %v; want %q", text, got, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error tells of it: %v", text, err)
		}
	}
	if _, err := ParseServer(migration.NewSecret("smtp://mail.example.com"), "nobody"); err == nil {
		t.Error("a sender that is no address was taken")
	}
}

// TestMailKeepsOutOfPrivateNetworks: the server is dialled as the operator allows.
func TestMailKeepsOutOfPrivateNetworks(t *testing.T) {
	sink := mailsink.New(t, mailsink.Config{})
	m := mailTo(t, "smtp", sink.Port, nil)
	m.dial = netguard.Policy{}.DialContext
	if _, err := m.Send(t.Context(), delivery(t)); err == nil || !strings.Contains(err.Error(), netguard.Setting) {
		t.Errorf("got %v", err)
	}
}
