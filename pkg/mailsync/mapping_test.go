package mailsync

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// folders makes a listing; "Sent*Sent" is a folder with the Sent attribute.
func folders(delimiter string, names ...string) []mailbox.Folder {
	var out []mailbox.Folder
	for _, n := range names {
		name, role, _ := strings.Cut(n, "*")
		f := mailbox.Folder{Name: name, Path: strings.Split(name, delimiter), Role: mailbox.Role(role), Selectable: true}
		if name == "INBOX" {
			f.Role = mailbox.RoleInbox
		}
		out = append(out, f)
	}
	return out
}

func TestAssign(t *testing.T) {
	slash := mailbox.Naming{Delimiter: "/"}
	tests := []struct {
		name     string
		source   []mailbox.Folder
		target   []mailbox.Folder
		naming   mailbox.Naming
		recorded map[string]string
		want     map[string]string
	}{
		{
			name: "same names", source: folders("/", "INBOX", "a", "a/b"), target: folders("/", "INBOX"), naming: slash,
			want: map[string]string{"INBOX": "INBOX", "a": "a", "a/b": "a/b"},
		},
		{
			name: "other delimiter and prefix", source: folders("/", "INBOX", "a/b.c", "a=b/c"), naming: mailbox.Naming{Prefix: "INBOX.", Delimiter: "."},
			want: map[string]string{"INBOX": "INBOX", "a/b.c": "INBOX.a.b=2Ec", "a=b/c": "INBOX.a=b.c"},
		},
		{
			name: "role by attribute on both sides, with children", source: folders("/", "INBOX", "Sent Items*Sent", "Sent Items/2019"), target: folders("/", "INBOX", "Gesendet*Sent"), naming: slash,
			want: map[string]string{"INBOX": "INBOX", "Sent Items": "Gesendet", "Sent Items/2019": "Gesendet/2019"},
		},
		{
			name: "role by known name", source: folders("/", "INBOX", "Gesendete Elemente"), target: folders("/", "INBOX", "Sent*Sent"), naming: slash,
			want: map[string]string{"INBOX": "INBOX", "Gesendete Elemente": "Sent"},
		},
		{
			name: "Sent and Sent Items and Sent Messages", source: folders("/", "INBOX", "Sent", "Sent Items*Sent", "Sent Messages"), target: folders("/", "INBOX", "Sent*Sent"), naming: slash,
			want: map[string]string{"INBOX": "INBOX", "Sent Items": "Sent", "Sent": "Sent (2)", "Sent Messages": "Sent Messages"},
		},
		{
			name: "names equal but for case", source: folders("/", "INBOX", "Work", "work", "WORK"), naming: mailbox.Naming{Delimiter: "/", FoldsCase: true},
			want: map[string]string{"INBOX": "INBOX", "WORK": "WORK", "Work": "Work (2)", "work": "work (3)"},
		},
		{
			name: "names equal but for form", source: folders("/", "INBOX", "Caf\u00e9", "Cafe\u0301"), naming: slash,
			want: map[string]string{"INBOX": "INBOX", "Cafe\u0301": "Cafe\u0301", "Caf\u00e9": "Caf\u00e9 (2)"},
		},
		{
			name: "what was recorded stays", source: folders("/", "INBOX", "a", "b"), naming: slash, recorded: map[string]string{"b": "a"},
			want: map[string]string{"INBOX": "INBOX", "b": "a", "a": "a (2)"},
		},
		{
			name: "forbidden characters", source: folders("/", "INBOX", "50%", "50=25"), naming: mailbox.Naming{Delimiter: "/", Forbidden: "%"},
			want: map[string]string{"INBOX": "INBOX", "50%": "50=25", "50=25": "50=25 (2)"},
		},
		{
			name: "spaces at the ends", source: folders("/", "INBOX", " a b ", "a b"), naming: mailbox.Naming{Delimiter: "/", TrimsNames: true},
			want: map[string]string{"INBOX": "INBOX", " a b ": "=20a b=20", "a b": "a b"},
		},
		{
			name: "below INBOX", source: folders("/", "INBOX", "INBOX/a", "a"), naming: slash,
			want: map[string]string{"INBOX": "INBOX", "INBOX/a": "INBOX/a", "a": "a"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := map[string]string{}
			placed, collisions := mapping{source: tt.source, all: tt.source, target: tt.target, naming: tt.naming, recorded: tt.recorded}.assign()
			if len(collisions) > 0 {
				t.Errorf("without rules: %v", collisions)
			}
			for _, a := range placed {
				got[a.source.Name] = a.target
			}
			if !maps.Equal(got, tt.want) {
				t.Errorf("got  %v\nwant %v", got, tt.want)
			}
			targets := slices.Sorted(maps.Values(got))
			if len(slices.Compact(targets)) != len(got) {
				t.Errorf("two folders became one: %v", got)
			}
		})
	}
}

func TestFilter(t *testing.T) {
	list := folders("/", "INBOX", "Spam", "Sent Items*Sent", "Projects/Alpha", "Projects/Alpha/Old", "projects")
	tests := []struct {
		include, exclude string
		want             string
	}{
		{"", "", "INBOX Spam Sent Items Projects/Alpha Projects/Alpha/Old projects"},
		{"", "#Junk# #sent#", "INBOX Projects/Alpha Projects/Alpha/Old projects"},
		{"", "PROJECTS*", "INBOX Spam Sent Items"},
		{"", "Projects/Alpha", "INBOX Spam Sent Items Projects/Alpha/Old projects"},
		{"#Inbox# */Old", "", "INBOX Projects/Alpha/Old"},
		{"Projects/*", "*/Old", "Projects/Alpha"},
	}
	for _, tt := range tests {
		f := newFilter(strings.Fields(tt.include), strings.Fields(tt.exclude), list)
		var got []string
		for _, x := range list {
			if f.takes(x) {
				got = append(got, x.Name)
			}
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("include %q exclude %q: got %q, want %q", tt.include, tt.exclude, s, tt.want)
		}
	}
}

func TestNormalForm(t *testing.T) {
	forms := []struct{ a, b string }{
		{"a: b\r\n\r\nx\ny\n", "a: b\r\n\r\nx\r\ny\r\n"}, // bare LF
		{"a: b\r\n\r\nx", "a: b\r\n\r\nx\r\n"},           // final CRLF
		{"a: b\r\n\r\nx\x00y", "a: b\r\n\r\nx\x80y"},     // NUL as Dovecot shows it
		{"a: \xe9\r\n\r\n\xe9", "a: X\r\n\r\n\xe9"},      // 8-bit header as Cyrus stores it
		{"a: b\r\n\r\nx\ry\r\r\n", "a: b\r\n\r\nxy\r\n"}, // bare CR
		{"", "\r\n"}, // nothing at all
	}
	form := func(s string) digest {
		c, err := digestOf(strings.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		return c.form
	}
	for _, f := range forms {
		if form(f.a) != form(f.b) {
			t.Errorf("%q and %q have different forms", f.a, f.b)
		}
	}
	for _, f := range []struct{ a, b string }{{"a: b\r\n\r\nx", "a: b\r\n\r\ny"}, {"a: b\r\n\r\n\xe9", "a: b\r\n\r\nX"}, {"a\r\n\r\nb", "a\r\nb"}} {
		if form(f.a) == form(f.b) {
			t.Errorf("%q and %q have one form", f.a, f.b)
		}
	}
}

func TestFingerprint(t *testing.T) {
	same := [][2]string{
		{"Message-ID: <a@b>\r\nSubject: x\r\n", "Subject: y\r\nmessage-id:\r\n <a@b>\r\n"},
		{"From: J\xfcrgen\r\nDate: d\r\n", "Date: d\r\nFrom:   JXrgen\r\n"},
	}
	for _, s := range same {
		if fingerprintOf([]byte(s[0])) != fingerprintOf([]byte(s[1])) {
			t.Errorf("%q and %q have different fingerprints", s[0], s[1])
		}
	}
	if fingerprintOf([]byte("Message-ID: <a@b>\r\n")) == fingerprintOf([]byte("Message-ID: <a@c>\r\n")) {
		t.Error("two Message-IDs have one fingerprint")
	}
	if got := fmt.Sprint(messageID([]byte("Subject: x\r\nMessage-Id: <q@r>\r\n"))); got != "<q@r>" {
		t.Errorf("Message-ID %q", got)
	}
}
