package mailsync

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzFingerprint: a header that a server has stored in its own way (NUL bytes gone,
// 8-bit bytes as X, other line ends) has the fingerprint that it had before.
func FuzzFingerprint(f *testing.F) {
	f.Add([]byte("Message-ID: <a@b>\r\nSubject: x\r\n y\r\n\r\n"))
	f.Add([]byte("From: a\x00b\r\nto:\tz\r\nDate: \xe4\r\n\tx\r\nSubject:\r\n"))
	f.Add([]byte("no field\n: nothing\n \n\r\r\n"))
	f.Fuzz(func(t *testing.T, header []byte) {
		want := fingerprintOf(header)
		for name, stored := range map[string][]byte{
			"again":         header,
			"without NUL":   bytes.ReplaceAll(header, []byte{0}, nil),
			"8-bit as X":    eightBitToX(bytes.Clone(header)),
			"with bare LFs": bytes.ReplaceAll(header, []byte("\r\n"), []byte("\n")),
		} {
			if got := fingerprintOf(stored); got != want {
				t.Errorf("%s: %q has %x, %q has %x", name, header, want, stored, got)
			}
		}
		if id := messageID(header); strings.ContainsAny(id, "\r\n\x00") {
			t.Errorf("message id %q", id)
		}
	})
}
