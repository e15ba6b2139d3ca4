package imapmail

import (
	"bufio"
	"bytes"
	"compress/flate"
	"fmt"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// TestCompression: both directions are deflated right behind the server's answer, which
// may bring compressed bytes with it; a server that does not offer it, or refuses, is
// spoken to as ever.
func TestCompression(t *testing.T) {
	for name, answer := range map[string]string{"OK": "OK deflating", "refused": "NO [COMPRESSIONACTIVE] no", "not offered": ""} {
		t.Run(name, func(t *testing.T) {
			a := scripted(t, func(s *script) {
				s.say("* OK ready")
				offer := ""
				if answer != "" {
					offer = "COMPRESS=DEFLATE"
				}
				s.say("%s OK [CAPABILITY IMAP4rev1 NAMESPACE %s] logged in", s.hear("LOGIN"), offer)
				say := s.say
				if answer != "" {
					first := fmt.Sprintf("%s %s\r\n", s.hear("COMPRESS DEFLATE"), answer)
					if strings.HasPrefix(answer, "OK") {
						var both bytes.Buffer
						both.WriteString(first)
						out, _ := flate.NewWriter(&both, flate.DefaultCompression)
						say = func(format string, args ...any) {
							_, _ = fmt.Fprintf(out, format+"\r\n", args...)
							_ = out.Flush()
							if _, err := s.c.Write(both.Bytes()); err != nil {
								panic(errHeard)
							}
							both.Reset()
						}
						say("* OK behind the answer, in the same packet")
						s.r = bufio.NewReader(flate.NewReader(s.r))
					} else {
						s.say("%s", strings.TrimSpace(first))
					}
				}
				tag := s.hear("NAMESPACE")
				say(`* NAMESPACE (("" "/")) NIL NIL`)
				say("%s OK done", tag)
				tag = s.hear("EXAMINE INBOX")
				say("* 7 EXISTS")
				say("* OK [UIDVALIDITY 9] yes")
				say("* OK [UIDNEXT 8] yes")
				say("%s OK [READ-ONLY] done", tag)
			})
			a.Compress = true
			s := opened(t, a)
			sel, err := s.Select(t.Context(), "INBOX", true)
			if err != nil || sel.Messages != 7 || sel.UIDValidity != 9 {
				t.Fatalf("selected %+v, %v", sel, err)
			}
			if _, compressed := s.conn.wire.(*deflated); compressed != (name == "OK") {
				t.Errorf("compressed is %v", compressed)
			}
		})
	}
}

// TestABrokenCompression: what cannot be inflated ends the connection with a fault of its
// own, as any other nonsense does.
func TestABrokenCompression(t *testing.T) {
	a := scripted(t, func(s *script) {
		s.say("* OK ready")
		s.say("%s OK [CAPABILITY IMAP4rev1 NAMESPACE COMPRESS=DEFLATE] logged in", s.hear("LOGIN"))
		s.say("%s OK deflating", s.hear("COMPRESS DEFLATE"))
		s.say("* NAMESPACE NIL NIL NIL and this is not compressed")
	})
	a.Compress = true
	s := opened(t, a)
	_, err := s.Select(t.Context(), "INBOX", true)
	f := migration.AsFault(err)
	if err == nil || f.Code != migration.ConnectionFailed || f.Scope != migration.ScopeEndpoint {
		t.Errorf("got %v, %+v", err, f)
	}
}
