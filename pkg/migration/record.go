package migration

import "time"

// FolderRecord is what is remembered of one source folder of one user. Head and
// Journal belong to package mailsync: everybody else carries them unread.
type FolderRecord struct {
	Folder  string // the source's name, the key within a user
	Head    []byte
	Journal [][]byte // in the order written
}

// Window is one step of a pass, committed as a whole or not at all.
type Window struct {
	Folder string // "" where only Tally changes
	Head   []byte // replaces the record's head; nil leaves it
	// Append is added to the record's journal; with Replace it becomes the whole
	// journal. Drop forgets the record.
	Append  []byte
	Replace bool
	Drop    bool
	// Tally is the pass's count so far, as a whole (not a difference).
	Tally Tally
	// Items are added to what is listed of this pass.
	Items []Item
}

// Apply brings a set of records, keyed by folder, up to date with w: what every
// keeper of records does.
func (w Window) Apply(records map[string]*FolderRecord) {
	if w.Folder == "" {
		return
	}
	if w.Drop {
		delete(records, w.Folder)
		return
	}
	r := records[w.Folder]
	if r == nil {
		r = &FolderRecord{Folder: w.Folder}
		records[w.Folder] = r
	}
	if w.Head != nil {
		r.Head = w.Head
	}
	if w.Replace {
		r.Journal = nil
	}
	if len(w.Append) > 0 {
		r.Journal = append(r.Journal[:len(r.Journal):len(r.Journal)], w.Append)
	}
}

// Tally is what a pass has found and done, in messages unless it says otherwise.
// Seen = Unchanged + Copied + Adopted + Skipped + Failed once the pass has ended.
type Tally struct {
	Folders, FoldersDone int64 // folders surveyed, and finished

	Seen      int64 // in the surveyed source folders
	Unchanged int64 // delivered by an earlier pass
	Copied    int64
	Adopted   int64 // found at the target without a record
	Skipped   int64 // cannot be copied; listed as items
	Failed    int64 // not copied this time; tried again by the next pass

	Redelivered   int64 // of Copied: delivered before, to a target that is void now
	Surplus       int64 // further copies found at the target, left alone
	MovedAtSource int64
	FlagsUpdated  int64 // messages whose flags were changed at the target
	Deleted       int64 // copies deleted because their messages are gone at the source
	KeptAtTarget  int64 // copies of such messages that stay: their user changed them
	ToDelete      int64 // copies that would be deleted: of a dry run, or awaiting a decision

	Bytes      int64 // of Copied
	BytesTotal int64 // of all messages at the source; 0 where it is not known
}

// Item is a message that was skipped or failed, or a folder that could not be
// carried (UID 0).
type Item struct {
	Folder    string // path at the source, "/" between the parts
	UID       uint32
	MessageID string
	Date      time.Time
	Size      int64 // bytes
	Code      Code
	Reason    string
}
