package imapmail

import "testing"

// What a preset knows of a server holds though the server says otherwise, or nothing.
func TestQuirksOfAPreset(t *testing.T) {
	a := scripted(t, func(s *script) {
		s.say("* OK ready")
		s.say("%s OK [CAPABILITY IMAP4rev1 NAMESPACE LIST-EXTENDED LITERAL+ UIDPLUS] in", s.hear("LOGIN"))
		s.say("%s OK", s.hear(`ID ("name" "mailhaul"`))
		tag := s.hear("NAMESPACE")
		s.say("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n%s OK", tag)
	})
	a.Quirks = Quirks{Forbidden: "/", FoldsCase: true, TrimsNames: true, NeedsID: true, Missing: []string{"LIST-EXTENDED", "LITERAL+"}}
	s := opened(t, a)
	if n := s.Naming(); n.Forbidden != "/" || !n.FoldsCase || !n.TrimsNames || n.Delimiter != "/" {
		t.Errorf("naming %+v", n)
	}
	if c := s.Caps(); c.ListExtended || c.LiteralPlus || !c.UIDPlus {
		t.Errorf("capabilities %+v", c)
	}
}
