package imapmail

import (
	"context"
	"fmt"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// What is asked for ahead. EXAMINE and FETCH of the folders that come next go out
// together, so that a round trip is paid once and not for each of them. A call that was
// foreseen reads the answer that is on its way. Any other first reads and drops what
// is, and opens its own folder again.
//
// A server may work on two FETCH commands at once and mix their replies (RFC 9051
// section 5.5; Dovecot does), but on none beside an EXAMINE: so there is one before
// each FETCH.

const (
	// maxAhead bounds the text of commands sent ahead, and maxFoldersAhead their
	// folders: a server that cannot get rid of its answers reads no more, and what is
	// sent to it then must fit between the two.
	maxAhead        = 16 << 10
	maxFoldersAhead = 100
	// maxCommandAhead bounds one of them: go-imap gives it in one piece.
	maxCommandAhead = 3 << 10
)

// openFolder is what Select was last called for.
type openFolder struct {
	name     string
	readOnly bool
	validity mailbox.UIDValidity
}

// foresight is what is under way.
type foresight struct {
	folders []*foreseenFolder // not opened yet by the caller, in order
	reads   []mailbox.Read    // left of the open folder, in order
	begun   bool              // the EXAMINE before the first of reads is answered
	length  int               // of the text of all
	// astray is set where the server has another folder open than the caller.
	astray bool
}

type foreseenFolder struct {
	mailbox.Foreseen
	length int // of the commands' text
}

// Foresee sends what will be asked, where it goes on from what was sent already. A
// server without LIST-STATUS is an old one, and gets one command at a time.
func (s *session) Foresee(folders []mailbox.Foreseen) {
	known := s.foresee.folders
	if !s.caps.ListStatus || len(known) > len(folders) {
		return
	}
	for i, a := range known {
		if folders[i].Folder != a.Folder {
			return
		}
	}
	if len(known)+len(s.foresee.reads) == 0 {
		s.foresee.length = 0
	}
	var text strings.Builder
	for _, f := range folders[len(known):] {
		commands, ok := s.commandsOf(f)
		length := len(strings.Join(commands, ""))
		if !ok || s.foresee.length+length > maxAhead || len(s.foresee.folders) >= maxFoldersAhead {
			break
		}
		for _, command := range commands {
			tag := s.tag()
			s.conn.ahead.sent(tag)
			text.WriteString(tag + " " + command + "\r\n")
		}
		s.foresee.length += length
		s.foresee.folders = append(s.foresee.folders, &foreseenFolder{f, length})
	}
	if text.Len() > 0 {
		_, _ = s.conn.Write([]byte(text.String())) // an error is the next call's
	}
}

// commandsOf spells the commands for one folder; ok is false where one is too long.
func (s *session) commandsOf(f mailbox.Foreseen) (commands []string, ok bool) {
	name, ok := s.quoted(f.Folder)
	if !ok {
		return nil, false
	}
	examine := "EXAMINE " + name
	if s.caps.CondStore {
		examine += " (CONDSTORE)"
	}
	commands = append(commands, examine)
	for i, r := range f.Reads {
		sets := wireSets(r.Set)
		if len(sets) != 1 {
			return nil, false
		}
		command := "UID FETCH " + sets[0].String() + " (UID FLAGS"
		switch {
		case r.Whole:
			command += " INTERNALDATE BODY.PEEK[])"
		case r.Since != 0:
			command += fmt.Sprintf(") (CHANGEDSINCE %d)", r.Since)
		default:
			command += ")"
		}
		if len(command) > maxCommandAhead {
			return nil, false
		}
		if i > 0 {
			commands = append(commands, examine)
		}
		commands = append(commands, command)
	}
	return commands, true
}

func fetchOptions(r mailbox.Read) *imap.FetchOptions {
	if r.Whole {
		return &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}
	}
	return &imap.FetchOptions{UID: true, Flags: true, ChangedSince: uint64(r.Since)}
}

// read is fetch for what may have been foreseen.
func (s *session) read(ctx context.Context, r mailbox.Read, what string, each func(*imapclient.FetchMessageData) error) error {
	defer s.tie(ctx)()
	x, ok, err := s.claim(r)
	if ok && err == nil {
		err = s.collect(func() *imapclient.FetchCommand {
			s.conn.ahead.arm()
			return s.client.Fetch(wireSets(x.Set)[0], fetchOptions(x))
		}, what, each)
		r.Set = r.Set.Minus(x.Set)
	}
	if err != nil {
		return err
	}
	return s.fetch(ctx, r.Set, fetchOptions(r), what, each)
}

// claim returns the read under way that holds what r asks for: the next answers are its.
// Those before it, which nobody has called for, are dropped.
func (s *session) claim(r mailbox.Read) (x mailbox.Read, ok bool, err error) {
	for i, x := range s.foresee.reads {
		if x.Whole != r.Whole || x.Since != r.Since || len(x.Set.Intersect(r.Set)) == 0 {
			continue
		}
		s.drop(i, s.open.name)
		if !s.foresee.begun {
			s.conn.ahead.arm()
			if err := s.same(s.sendSelect(s.open)); err != nil {
				return x, true, err
			}
		}
		s.foresee.reads, s.foresee.begun = s.foresee.reads[1:], false
		return x, true, nil
	}
	return mailbox.Read{}, false, nil
}

// openForeseen gives go-imap the EXAMINE that is on its way, if one is; nil if none.
// What comes before it is dropped.
func (s *session) openForeseen(name string, readOnly bool) *imapclient.SelectCommand {
	for i, a := range s.foresee.folders {
		if a.Folder != name || !readOnly {
			continue
		}
		s.dropFolders(i)
		s.foresee.folders = s.foresee.folders[1:]
		s.foresee.reads, s.foresee.begun, s.foresee.astray = a.Reads, true, false
		s.foresee.length -= a.length
		s.conn.ahead.arm()
		return s.sendSelect(openFolder{name: name, readOnly: true})
	}
	return nil
}

// discard drops all that is under way.
func (s *session) discard() {
	s.foresee.astray = s.foresee.astray || len(s.foresee.folders) > 0
	s.dropFolders(len(s.foresee.folders))
	s.foresee.length = 0
}

// dropFolders drops what is left of the open folder, and the next n. Errors are left to
// the next command, which gets an answer of its own.
func (s *session) dropFolders(n int) {
	s.drop(len(s.foresee.reads), s.open.name)
	for _, a := range s.foresee.folders[:n] {
		s.foresee.reads, s.foresee.begun = a.Reads, false
		if len(a.Reads) == 0 {
			s.dropSelect(a.Folder)
		}
		s.drop(len(a.Reads), a.Folder)
		s.foresee.length -= a.length
	}
	s.foresee.folders = s.foresee.folders[n:]
}

// drop drops the first n reads of the folder whose answers come.
func (s *session) drop(n int, folder string) {
	for range n {
		r := s.foresee.reads[0]
		if !s.foresee.begun {
			s.dropSelect(folder)
		}
		s.foresee.reads, s.foresee.begun = s.foresee.reads[1:], false
		if r.Whole {
			s.conn.in.bodies.Add(1)
		}
		s.conn.ahead.arm()
		_ = s.client.Fetch(wireSets(r.Set)[0], fetchOptions(r)).Close()
		s.conn.answered()
		if r.Whole {
			s.conn.in.bodies.Add(-1)
		}
	}
}

func (s *session) dropSelect(folder string) {
	s.conn.ahead.arm()
	_, _ = s.sendSelect(openFolder{name: folder, readOnly: true}).Wait()
	s.conn.answered()
}

// goBack opens the caller's folder again where the server has another one open.
func (s *session) goBack() error {
	if !s.foresee.astray {
		return nil
	}
	s.foresee.astray = false
	return s.same(s.sendSelect(s.open))
}

// same waits for the answer to a further SELECT of the open folder.
func (s *session) same(command *imapclient.SelectCommand) error {
	sel, err := s.selected(command)
	if err == nil && sel.UIDValidity != s.open.validity {
		err = migration.NewFault(migration.SourceChanged, migration.ScopeFolder, s.account.Side,
			fmt.Sprintf("folder %q is another one now", s.open.name), nil)
	}
	return err
}
