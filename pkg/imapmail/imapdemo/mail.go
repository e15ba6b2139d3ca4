package imapdemo

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// folderNames are what a demo mailbox has, with the share of its mail in percent.
var folderNames = []struct {
	name  string
	share int
}{
	{"INBOX", 40}, {"Sent", 15}, {"Archive/2024", 15}, {"Entwürfe & Pläne", 10}, {"日本語", 8}, {"Projects/Alpha/Specs", 7}, {"Junk", 5}, {"Empty", 0},
}

// Fill puts n messages into a user's mailbox: ordinary ones, and the kinds at which
// copying tools stumble. The same user and n give the same mail.
func (s *Server) Fill(user, password string, n int) error {
	r := rand.New(rand.NewPCG(uint64(n), hash(user)))
	u := imapmemserver.NewUser(user, password)
	for _, f := range folderNames {
		if err := u.Create(f.name, nil); err != nil {
			return fmt.Errorf("make folder %s: %w", f.name, err)
		}
	}
	if err := u.Subscribe("INBOX"); err != nil {
		return err
	}
	at := time.Date(2021, 1, 4, 9, 0, 0, 0, time.FixedZone("", 3600))
	for i := range n {
		body := letter(r, user, i)
		flags := []imap.Flag{}
		if r.IntN(10) < 8 {
			flags = append(flags, imap.FlagSeen)
		}
		if r.IntN(10) == 0 {
			flags = append(flags, imap.FlagFlagged, "$Forwarded")
		}
		_, err := u.Append(pick(r), &literal{bytes.NewReader(body), int64(len(body))}, &imap.AppendOptions{
			Flags: flags, Time: at.Add(time.Duration(r.IntN(4*365*24)) * time.Hour),
		})
		if err != nil {
			return fmt.Errorf("add message %d: %w", i, err)
		}
	}
	s.mem.AddUser(u)
	return nil
}

type literal struct {
	*bytes.Reader
	size int64
}

func (l *literal) Size() int64 { return l.size }

func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range []byte(s) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

func pick(r *rand.Rand) string {
	x := r.IntN(100)
	for _, f := range folderNames {
		if x < f.share {
			return f.name
		}
		x -= f.share
	}
	return "INBOX"
}

var words = strings.Fields("invoice meeting report offer question update reply draft contract schedule order ticket holiday minutes budget plan")

func sentence(r *rand.Rand, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = words[r.IntN(len(words))]
	}
	return strings.Join(out, " ")
}

// letter writes one message; every tenth or so is awkward in its own way.
func letter(r *rand.Rand, user string, i int) []byte {
	head := fmt.Sprintf("From: Sender %d <s%d@example.net>\r\nTo: %s\r\nSubject: %s %d\r\nDate: Mon, 4 Jan 2021 09:00:00 +0100\r\nMIME-Version: 1.0\r\n", i%17, i%17, user, sentence(r, 4), i)
	id := fmt.Sprintf("Message-ID: <%d.%s>\r\n", i, user)
	var b strings.Builder
	for range 3 + r.IntN(60) {
		b.WriteString(sentence(r, 9) + "\r\n")
	}
	body := b.String()
	switch i % 23 {
	case 3: // nothing to tell it by
		id = ""
	case 5: // one Message-ID for several messages
		id = fmt.Sprintf("Message-ID: <shared.%s>\r\n", user)
	case 7: // the same message twice and more
		return []byte("From: twin@example.net\r\nSubject: twin\r\nMessage-ID: <twin@example.net>\r\n\r\nthe same\r\n")
	case 11: // 8-bit in header and body
		head += "X-Note: Gr\xfc\xdfe\r\n"
		body = "\xe4\xf6\xfc " + body
	case 13: // no header at all
		return []byte("\r\n" + body)
	case 17: // one long line
		body = strings.Repeat("x", 20_000) + "\r\n"
	case 19: // looks like commands
		body = "a1 LOGOUT\r\n.\r\na2 DELETE INBOX\r\n" + body
	}
	return []byte(head + id + "\r\n" + body)
}
