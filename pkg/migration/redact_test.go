package migration

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func encoded(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

func TestAStrangersWordsAreRedacted(t *testing.T) {
	const hush = `Tr0ub4dor&"3`
	for _, x := range []struct{ secret, says, want string }{
		{hush, `no LOGIN anna Tr0ub4dor&"3 here`, `no LOGIN anna [redacted] here`},
		{hush, `LOGIN "anna" "Tr0ub4dor&\"3"`, `LOGIN "anna" "[redacted]"`},
		{hush, `O1 LOGIN ANNA TR0UB4DOR&"3`, `O1 LOGIN ANNA [redacted]`},
		{hush, "see https://x/?p=" + url.QueryEscape(hush) + "&q=1", "see https://x/?p=[redacted]&q=1"},
		{hush, "p=%54%72%30%75%62%34%64%6F%72%26%22%33.", "p=[redacted]."},
		{hush, "p=" + strings.ToLower("%54%72%30%75%62%34%64%6F%72%26%22%33") + ".", "p=[redacted]."},
		{"two words", "two+words, two%20words", "[redacted], [redacted]"},
		{"two  words", "it was two  words", "it was [redacted]"},
		{hush, "not " + encoded("\x00anna\x00"+hush) + ", no", "not [redacted], no"},
		{hush, "PLAIN " + encoded("boss\x00anna\x00"+hush), "PLAIN [redacted]=="},
		{hush, "+ " + encoded(hush), "+ [redacted]"},
		{hush, "XOAUTH2 " + encoded("user=anna\x01auth=Bearer "+hush+"\x01\x01"), "XOAUTH2 [redacted]"},
		{hush, "response=" + base64.RawURLEncoding.EncodeToString([]byte("\x00anna\x00"+hush+"\xff\xfe")), "response=[redacted]"},
		{hush, "/sasl/" + encoded("\x00anna\x00"+hush), "[redacted]"},
		{hush, "cut " + encoded("\x00anna\x00" + hush + "\x00and more")[:33], "cut [redacted]"},
		{hush, "Tr0ub\u200b4dor\x00&\"3", "[redacted]"},
		{"hunter2", "hunter22 xhunter2", "[redacted]2 x[redacted]"},
		{"hunter2", "hunter", "hunter"},
		{"", "no words", "no words"},
		// Short ones: only where they stand alone.
		{"a", "a bad password for anna: a", "[redacted] bad password for anna: [redacted]"},
		{"no", "NO: not known (no)", "[redacted]: not known ([redacted])"},
		{"abc", "LOGIN anna abc / abcd / " + encoded("abc") + " " + encoded("\x00anna\x00abc"), "LOGIN anna [redacted] / abcd / [redacted] [redacted]"},
		{"q", "authentication failed, unavailable", "authentication failed, unavailable"},
	} {
		if got := NewSecret(x.secret).Redact(x.says); got != x.want {
			t.Errorf("%q of %q: got %q, want %q", x.says, x.secret, got, x.want)
		}
	}
}

// TestNoFormOfASecretIsLeft: whatever the secret, and whatever stands around it.
func TestNoFormOfASecretIsLeft(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[!-~]{4}[ -~]{0,20}[!-~]`).Draw(t, "secret")
		around := rapid.StringMatching(`[ -~]{0,12}`)
		before, after := around.Draw(t, "before"), around.Draw(t, "after")
		for form, text := range map[string]string{
			"plain": secret, "query": url.QueryEscape(secret), "path": url.PathEscape(secret),
			"base64": encoded(before + secret + after), "url": base64.RawURLEncoding.EncodeToString([]byte(before + secret + after)),
		} {
			got := NewSecret(secret).Redact(before + " " + text + " " + after)
			if strings.Contains(got, text) {
				t.Fatalf("%s: %q is left in %q", form, text, got)
			}
		}
	})
}
