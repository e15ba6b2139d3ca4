package imapmail

import (
	"context"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// Store sends all changes ahead of their answers. FETCH responses meanwhile are
// dropped: with CONDSTORE a server sends one a message even to .SILENT (RFC 7162
// section 3.1.3), and nobody reads them.
func (s *session) Store(ctx context.Context, changes []mailbox.FlagChange) error {
	defer s.begin(ctx)()
	if err := s.goBack(); err != nil {
		return err
	}
	s.conn.in.quiet.Store(true)
	defer s.conn.in.quiet.Store(false)
	type command struct {
		set   imap.UIDSet
		flags imap.StoreFlags
	}
	var commands []command
	for _, c := range changes {
		for _, set := range wireSets(c.Set) {
			if flags := storable(c.Add); len(flags) > 0 {
				commands = append(commands, command{set, imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: flags}})
			}
			if flags := storable(c.Remove); len(flags) > 0 {
				commands = append(commands, command{set, imap.StoreFlags{Op: imap.StoreFlagsDel, Silent: true, Flags: flags}})
			}
		}
	}
	for _, err := range s.pipeline(len(commands), func(i int) waiter {
		return storeWaiter{s.client.Store(commands[i].set, &commands[i].flags, nil)}
	}) {
		if err != nil && !expunged(err) {
			return s.answered(err, opStore, "change flags")
		}
	}
	return nil
}

// storeCommands spells changes for those who send them themselves.
func storeCommands(changes []mailbox.FlagChange) []string {
	var out []string
	for _, c := range changes {
		for _, set := range wireSets(c.Set) {
			for sign, flags := range map[string][]string{"+": sendable(c.Add), "-": sendable(c.Remove)} {
				if len(flags) > 0 {
					out = append(out, "UID STORE "+set.String()+" "+sign+"FLAGS.SILENT ("+strings.Join(flags, " ")+")")
				}
			}
		}
	}
	return out
}

type storeWaiter struct{ *imapclient.FetchCommand }

func (w storeWaiter) Wait() error { return w.Close() }

func storable(flags mailbox.Flags) []imap.Flag {
	var out []imap.Flag
	for _, f := range sendable(flags) {
		out = append(out, imap.Flag(f))
	}
	return out
}
