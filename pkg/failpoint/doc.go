// Package failpoint names the points at which a death of the process matters, for the
// tests that kill it there. In a program built without the tag failpoints nothing of
// it is left: Due is a constant false, and Reach an empty function.
//
// In a program built with the tag, MAILHAUL_FAILPOINT=NAME:N makes the process kill
// itself (SIGKILL: nothing is flushed, closed or told) when it reaches point NAME for
// the Nth time. It never decides anything, and never returns an error.
package failpoint

// The points, in the order of a pass. The caller of Due does half of what it is about
// to do before it calls Die.
const (
	FolderRenamed  = "folder-renamed"  // the target has renamed a folder, no record says so
	RecordMoved    = "record-moved"    // the new name's record is stored, the old one's still there
	FoldersCreated = "folders-created" // the target has made the folders
	BeforeWriting  = "before-writing"  // messages are about to be sent, no record says so
	WritingMarked  = "writing-marked"  // the record says so, nothing is sent
	MidLiteral     = "mid-literal"     // half of what is on its way is sent
	WindowSent     = "window-sent"     // the last literal is sent, no answer read
	WindowAnswered = "window-answered" // the answer is read, nothing recorded
	MidCommit      = "mid-commit"      // half a line is in the state file
	Committed      = "committed"       // a window is recorded
	BeforeFlags    = "before-flags"    // flags are about to be changed
	FlagsStored    = "flags-stored"    // they are, no record says so
	BeforeFinish   = "before-finish"   // the folder is in step, no record says so
	Finished       = "finished"        // the record says so
	BeforeExpunge  = "before-expunge"  // copies are about to be deleted
	CopiesMarked   = "copies-marked"   // they are marked as deleted, and there
	Expunged       = "expunged"        // they are gone, the record still has them
	Forgotten      = "forgotten"       // the record has them no more
	MidCompaction  = "mid-compaction"  // the state file is written anew, not yet in its place
)

// ImportPart is reached when a part of a file's users is written, in a transaction that is
// not committed; a last time when all of them are.
const ImportPart = "import-part"

// Names returns the points of a pass.
func Names() []string {
	return []string{
		FolderRenamed, RecordMoved, FoldersCreated, BeforeWriting, WritingMarked, MidLiteral, WindowSent, WindowAnswered,
		MidCommit, Committed, BeforeFlags, FlagsStored, BeforeFinish, Finished, BeforeExpunge, CopiesMarked, Expunged, Forgotten,
		MidCompaction,
	}
}
