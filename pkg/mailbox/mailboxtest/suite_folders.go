package mailboxtest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

var folderTests = []test{
	{"a new mailbox lists INBOX", listsInbox},
	{"folders are listed as they were made", listsFolders},
	{"making a folder twice is harmless", createsTwice},
	{"roles are kept where the server takes them", keepsRoles},
	{"subscriptions change", subscribes},
	{"a folder is renamed with what lies below it", renames},
	{"numbers follow the mail", tellsNumbers},
	{"a missing folder is a change of the source", missesFolder},
	{"a folder opened read-only keeps no flags", opensReadOnly},
	{"opening replaces the folder opened before", opensAnother},
}

func list(t *testing.T, s mailbox.Session) map[string]mailbox.Folder {
	t.Helper()
	folders, err := s.List(testContext(t))
	if err != nil {
		t.Fatalf("list: %v", err)
	}
	if !slices.IsSortedFunc(folders, func(a, b mailbox.Folder) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("the listing is not sorted by name")
	}
	out := map[string]mailbox.Folder{}
	for _, f := range folders {
		if _, twice := out[f.Name]; twice {
			t.Errorf("%q is listed twice", f.Name)
		}
		out[f.Name] = f
	}
	return out
}

func listsInbox(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	f, found := list(t, s)["INBOX"]
	if !found || !f.Selectable || f.Role != mailbox.RoleInbox || !slices.Equal(f.Path, []string{"INBOX"}) {
		t.Fatalf("INBOX: %+v", f)
	}
	if f.Status == nil || f.Status.Messages != 0 || f.Status.UIDValidity == 0 || f.Status.UIDNext == 0 {
		t.Errorf("INBOX's numbers: %+v", f.Status)
	}
}

func listsFolders(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	n := s.Naming()
	paths := [][]string{{"Plain"}, {"Tom & Jerry"}, {"Entwürfe"}, {"日本語"}, {"with space"}}
	if n.Delimiter != "" {
		paths = append(paths, []string{"A", "B", "C"}, []string{"A", "Ä"})
	}
	if !strings.ContainsAny(n.Forbidden, `"`) {
		paths = append(paths, []string{`a "quoted" name`})
	}
	var want []mailbox.NewFolder
	for _, p := range paths {
		want = append(want, mailbox.NewFolder{Name: n.Join(p)})
	}
	if err := errors.Join(s.Create(testContext(t), want)...); err != nil {
		t.Fatalf("create: %v", err)
	}
	got := list(t, s)
	for i, p := range paths {
		f, found := got[want[i].Name]
		if !found || !f.Selectable || !slices.Equal(f.Path, p) {
			t.Errorf("%q: %+v, want the path %q", want[i].Name, f, p)
		}
		if found && f.Status == nil {
			t.Errorf("%q has no numbers", f.Name)
		}
		selected(t, s, want[i].Name, true)
	}
	for name, f := range got {
		if !f.Selectable && f.Status != nil {
			t.Errorf("%q is no mailbox and has numbers", name)
		}
	}
}

func createsTwice(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	name := s.Naming().Join([]string{"Twice"})
	for range 2 {
		errs := s.Create(testContext(t), []mailbox.NewFolder{{Name: name}, {Name: "INBOX"}})
		if len(errs) != 2 || errors.Join(errs...) != nil {
			t.Fatalf("create: %v", errs)
		}
	}
}

func keepsRoles(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	name := s.Naming().Join([]string{"Sent"})
	if err := errors.Join(s.Create(testContext(t), []mailbox.NewFolder{{Name: name, Role: mailbox.RoleSent}})...); err != nil {
		t.Fatalf("create with a role: %v", err)
	}
	f, found := list(t, s)[name]
	if !found || s.Caps().CreateSpecialUse && f.Role != mailbox.RoleSent {
		t.Errorf("%+v", f)
	}
}

func subscribes(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	n := s.Naming()
	a, b := n.Join([]string{"a"}), n.Join([]string{"b ü"})
	if err := errors.Join(s.Create(testContext(t), []mailbox.NewFolder{{Name: a}, {Name: b}})...); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		if err := errors.Join(s.Subscribe(testContext(t), []string{b}, want)...); err != nil {
			t.Fatalf("subscribe %v: %v", want, err)
		}
		got := list(t, s)
		if got[a].Subscribed || got[b].Subscribed != want {
			t.Errorf("subscribed: a %v, b %v, want b alone %v", got[a].Subscribed, got[b].Subscribed, want)
		}
	}
}

func tellsNumbers(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	name := s.Naming().Join([]string{"Numbers"})
	before := folder(t, s, name)
	stored(t, write(t, s, name, mailbox.AppendMode{}, letter(1), letter(2), letter(3)))
	other := session(t, open)
	st := list(t, other)[name].Status
	if st == nil || st.Messages != 3 || st.UIDValidity != before.UIDValidity || st.UIDNext < before.UIDNext+3 {
		t.Fatalf("listed %+v after %+v", st, before.Status)
	}
	sel := selected(t, other, name, true)
	if sel.Messages != 3 || sel.UIDNext != st.UIDNext || sel.UIDValidity != st.UIDValidity || sel.Size != -1 {
		t.Errorf("opened %+v, listed %+v", sel.Status, st)
	}
	if other.Caps().CondStore && (st.HighestModSeq == 0 || sel.HighestModSeq != st.HighestModSeq) {
		t.Errorf("HIGHESTMODSEQ: listed %d, opened %d", st.HighestModSeq, sel.HighestModSeq)
	}
}

func missesFolder(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	_, err := s.Select(testContext(t), s.Naming().Join([]string{"Nowhere"}), true)
	isFault(t, err, migration.SourceChanged, migration.ScopeFolder)
	answer := write(t, s, s.Naming().Join([]string{"Nowhere"}), mailbox.AppendMode{}, letter(1))
	refused := answer.Refused
	if len(answer.Each) > 0 {
		refused = answer.Each[0]
	}
	var f *migration.Fault
	if !errors.As(refused, &f) || f.Scope != migration.ScopeFolder {
		t.Errorf("append: got %v, want a fault of scope folder", refused)
	}
	selected(t, s, "INBOX", true)
}

func opensReadOnly(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	sel := selected(t, s, "INBOX", true)
	if len(sel.Permanent) > 0 || sel.AnyKeyword {
		t.Errorf("read-only, and keeps %q, any keyword %v", sel.Permanent, sel.AnyKeyword)
	}
	if sel = selected(t, s, "INBOX", false); !sel.Permanent.Has(mailbox.Seen) || !sel.Permanent.Has(mailbox.Deleted) {
		t.Errorf("for writing, and keeps only %q", sel.Permanent)
	}
}

func opensAnother(t *testing.T, open mailbox.Opener) {
	s := session(t, open)
	name := s.Naming().Join([]string{"Another"})
	stored(t, write(t, s, "INBOX", mailbox.AppendMode{}, letter(1)))
	folder(t, s, name)
	holds(t, s)
	selected(t, s, "INBOX", true)
	holds(t, s, letter(1))
}

func renames(t *testing.T, open mailbox.Opener) {
	s, other := session(t, open), session(t, open)
	ctx, n := testContext(t), s.Naming()
	old, taken, renamed := n.Join([]string{"Old"}), n.Join([]string{"Taken"}), n.Join([]string{"Neü & new"})
	names := []mailbox.NewFolder{{Name: old}, {Name: taken}}
	if n.Delimiter != "" {
		names = append(names, mailbox.NewFolder{Name: n.Join([]string{"Old", "Below"})})
	}
	if err := errors.Join(s.Create(ctx, names)...); err != nil {
		t.Fatal(err)
	}
	stored(t, write(t, other, old, mailbox.AppendMode{}, letter(1)))
	before := list(t, s)[old]
	var f *migration.Fault
	if err := s.Rename(ctx, old, taken); !errors.As(err, &f) || f.Scope != migration.ScopeFolder {
		t.Errorf("to one that is there: %v", err)
	}
	err := s.Rename(ctx, n.Join([]string{"Nowhere"}), renamed)
	if err != nil && (!errors.As(err, &f) || f.Scope != migration.ScopeFolder) {
		t.Errorf("one that is not there: %v", err)
	}
	if _, there := list(t, s)[renamed]; there { // Courier says OK, and does nothing
		t.Error("one that is not there has been renamed")
	}
	if err := s.Rename(ctx, old, renamed); err != nil {
		t.Fatal(err)
	}
	after := list(t, s)
	if got := after[renamed]; got.Status == nil || got.Status.Messages != 1 {
		t.Errorf("renamed: %+v, before: %+v", got.Status, before.Status)
	}
	if _, there := after[old]; there {
		t.Error("the old name is still there")
	}
	if below := n.Join([]string{"Neü & new", "Below"}); n.Delimiter != "" && !after[below].Selectable {
		t.Errorf("%q is not there: %v", below, after)
	}
}
