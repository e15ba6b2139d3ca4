package imapmail

import (
	"context"
	"slices"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Other namespaces (RFC 2342): other users' folders and shared ones.
//
// They are nobody's own mail: unless the account asks for them they are not listed, and
// no folder may be made there (mailbox.Naming.Others). One that is asked for is listed by
// its prefix too, because "*" does not show it everywhere. Its folders have the prefix in
// their path, no role, and are no INBOX: a stranger's Sent is not this mailbox's.

// namespace is one that is not the user's own.
type namespace struct {
	prefix  string
	kind    string // migration.OtherUsers or migration.SharedFolders
	allowed bool
}

func (s *session) namespaces(data *imap.NamespaceData) {
	if len(data.Personal) > 0 {
		s.naming.Prefix = readableName(data.Personal[0].Prefix)
		s.naming.Delimiter = delimiter(data.Personal[0].Delim)
	}
	for kind, list := range map[string][]imap.NamespaceDescriptor{migration.OtherUsers: data.Other, migration.SharedFolders: data.Shared} {
		for _, d := range list {
			if d.Prefix != "" {
				s.others = append(s.others, namespace{readableName(d.Prefix), kind, slices.Contains(s.account.Namespaces, kind)})
			}
		}
	}
	// The longest prefix of a name is its namespace's.
	slices.SortFunc(s.others, func(a, b namespace) int {
		if n := len(b.prefix) - len(a.prefix); n != 0 {
			return n
		}
		return strings.Compare(a.prefix, b.prefix)
	})
	for _, n := range s.others {
		if !n.allowed && s.account.Root == "" { // a root may lie in one of them
			s.naming.Others = append(s.naming.Others, n.prefix)
		}
	}
}

// namespaceOf returns the namespace of a name, nil where it is the user's own.
func (s *session) namespaceOf(name string) *namespace {
	if s.account.Root != "" {
		return nil // only what is below the root is seen, wherever that is
	}
	for i, n := range s.others {
		if strings.HasPrefix(name, n.prefix) || name == strings.TrimSuffix(n.prefix, s.naming.Delimiter) {
			return &s.others[i]
		}
	}
	return nil
}

// listOthers lists the namespaces that are asked for, behind the rows that are there.
func (s *session) listOthers(ctx context.Context, rows []*imap.ListData, options *imap.ListOptions) ([]*imap.ListData, error) {
	if len(s.account.Namespaces) == 0 || s.account.Root != "" {
		return rows, nil
	}
	s.settle()
	listed := map[string]bool{}
	for _, row := range rows {
		listed[row.Mailbox] = true
	}
	for _, n := range s.others {
		if !n.allowed {
			continue
		}
		more, err := s.client.List("", n.prefix+"*", options).Collect()
		s.conn.answered()
		if err != nil {
			return nil, s.answered(err, opList, "list folders below "+n.prefix)
		}
		for _, row := range more {
			if !listed[row.Mailbox] {
				listed[row.Mailbox] = true
				rows = append(rows, row)
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return rows, nil
}

// tellApart gives a word more to the first part of foreign paths where the user's own
// folders begin with it too: INBOX.shared, and shared, where INBOX is the prefix.
func (s *session) tellApart(folders []mailbox.Folder) {
	own := map[string]bool{}
	for _, f := range folders {
		if s.namespaceOf(f.Name) == nil {
			own[strings.ToLower(f.Path[0])] = true
		}
	}
	for i, f := range folders {
		if n := s.namespaceOf(f.Name); n != nil && own[strings.ToLower(f.Path[0])] {
			folders[i].Path[0] += " (" + n.kind + ")"
		}
	}
}

// noneOwn reports whether no folder is the user's own.
func (s *session) noneOwn(folders []mailbox.Folder) bool {
	return !slices.ContainsFunc(folders, func(f mailbox.Folder) bool { return s.namespaceOf(f.Name) == nil })
}
