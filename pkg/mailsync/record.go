package mailsync

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/migration"
)

// recordVersion is raised when the meaning of head or journal changes; a record of
// another version is refused, never guessed at.
const recordVersion = 1

// compactAfter is how many journal entries a record may have before a finished
// folder writes them as one. Until then a window only adds to it, so that the cost
// of a commit does not grow with the folder.
const compactAfter = 32

// head is the small part of a record, rewritten with every window.
type head struct {
	Version int `json:"v"`
	// Target is the target folder's name; the mapping is decided once and kept.
	Target string `json:"target"`

	SourceValidity mailbox.UIDValidity `json:"sv"`
	TargetValidity mailbox.UIDValidity `json:"tv"`
	// TargetSeen is where the tail begins: messages of the target from this UID on
	// that are not in the map may be deliveries without a record.
	TargetSeen mailbox.UID `json:"seen"`

	// The source's numbers at the start of the pass that last finished the folder.
	// They count only if Finished.
	Finished bool           `json:"done"`
	Messages uint32         `json:"n"`
	UIDNext  mailbox.UID    `json:"next"`
	ModSeq   mailbox.ModSeq `json:"ms"`

	// Writing is set before the first message is sent and cleared when all are
	// answered: where it is found set, the writer ended without knowing what it did.
	Writing bool `json:"writing,omitempty"`
	// Slowest is the longest that the target took to answer an APPEND here.
	Slowest time.Duration `json:"slowest,omitempty"`
	// SizeLimit is the largest message, in bytes, that was to be copied then; 0: none.
	SizeLimit int64 `json:"limit,omitempty"`
	// Since and Before are the time, in Unix seconds, that messages had to be of then (0:
	// any), and LeftOut is how many below UIDNext were not.
	Since   int64 `json:"since,omitempty"`
	Before  int64 `json:"before,omitempty"`
	LeftOut int64 `json:"left,omitempty"`
	// Subscribed is what was last carried of the source's subscription.
	Subscribed bool `json:"sub,omitempty"`
	// AgainBelow is set while messages are copied a second time because the target
	// they were delivered to is no more: those with a UID below it.
	AgainBelow mailbox.UID `json:"again,omitempty"`
	// Unproven is set in a record that was turned round, until a pass has looked which of
	// the messages are at the target.
	Unproven bool `json:"unproven,omitempty"`
	// Was is the source folder's name before it was renamed.
	Was string `json:"was,omitempty"`
	// Forgot is set once messages were forgotten because they were gone at the source: those
	// that come back have UIDs below UIDNext and are not decided.
	Forgot bool `json:"forgot,omitempty"`
	// Asked are the messages, as encodeSet writes them, about whose copies the latest pass
	// that asks has asked.
	Asked []byte `json:"asked,omitempty"`
	// Deleting are the messages whose copies are about to be deleted: where it is found set,
	// it is not known which of them were.
	Deleting []byte `json:"deleting,omitempty"`
	// Gone is set once it was counted what was moved out of a folder that is no more.
	Gone bool `json:"gone,omitempty"`
}

// record is all that is remembered of one source folder.
type record struct {
	folder string
	head
	uids    *uidMap
	skipped map[mailbox.UID]migration.Item
	entries int  // in the journal
	stale   bool // the stored journal must go with the next window

	// since the last commit
	fresh      []run
	freshItems []migration.Item
}

func newRecord(folder string) *record {
	return &record{folder: folder, head: head{Version: recordVersion}, uids: newUIDMap(), skipped: map[mailbox.UID]migration.Item{}}
}

// loadRecord decodes what was stored.
func loadRecord(stored migration.FolderRecord) (*record, error) {
	r := newRecord(stored.Folder)
	if err := json.Unmarshal(stored.Head, &r.head); err != nil {
		return nil, fmt.Errorf("record of folder %q: %w", stored.Folder, err)
	}
	if r.Version != recordVersion {
		return nil, fmt.Errorf("record of folder %q has version %d; this program knows %d: use the newer program", stored.Folder, r.Version, recordVersion)
	}
	for i, entry := range stored.Journal {
		if err := r.replay(entry); err != nil {
			return nil, fmt.Errorf("record of folder %q, entry %d: %w", stored.Folder, i, err)
		}
	}
	r.entries = len(stored.Journal)
	return r, nil
}

// decided are the source UIDs that are never copied again: delivered or skipped.
func (r *record) decided() mailbox.UIDSet {
	return r.uids.sources().Union(r.skippedUIDs())
}

func (r *record) skippedUIDs() mailbox.UIDSet {
	uids := make([]mailbox.UID, 0, len(r.skipped))
	for u := range r.skipped {
		uids = append(uids, u)
	}
	return mailbox.NewUIDSet(uids...)
}

// deliver notes that src is at the target as dst (0: it is not known where).
func (r *record) deliver(src, dst mailbox.UID, flags mailbox.Flags) {
	delivered := r.uids.deliver(src, dst, flags)
	if k := len(r.fresh); k > 0 && r.fresh[k-1].joins(delivered) {
		r.fresh[k-1].n++
	} else {
		r.fresh = append(r.fresh, delivered)
	}
	r.unskip(delivered)
}

// unskip takes the messages of a delivered run off the list of skipped ones.
func (r *record) unskip(x run) {
	if len(r.skipped) == 0 {
		return
	}
	for u := range r.skippedUIDs().Intersect(mailbox.Span(x.src, x.end())).All() {
		delete(r.skipped, u)
		r.freshItems = slices.DeleteFunc(r.freshItems, func(it migration.Item) bool { return it.UID == uint32(u) })
	}
}

// skip notes that src will not be copied.
func (r *record) skip(src mailbox.UID, it migration.Item) {
	r.skipped[src] = it
	r.freshItems = append(r.freshItems, it)
}

// forget drops what was delivered, because the target it was delivered to is no
// more (again) or the source's UIDs have another meaning now. The folder's mapping
// stays.
func (r *record) forget(again bool) {
	fresh := newRecord(r.folder)
	fresh.Target, fresh.Subscribed, fresh.Was, fresh.stale = r.Target, r.Subscribed, r.Was, true
	fresh.Writing, fresh.Slowest = r.Writing, r.Slowest // what is under way still arrives
	if again {
		fresh.SourceValidity = r.SourceValidity
		fresh.AgainBelow = r.AgainBelow
		if k := len(r.uids.runs); k > 0 {
			fresh.AgainBelow = max(fresh.AgainBelow, r.uids.runs[k-1].end()+1)
		}
	}
	*r = *fresh
}

// window returns what has changed since the last call, to be committed.
func (r *record) window(tally migration.Tally) (migration.Window, error) {
	h, err := json.Marshal(r.head)
	if err != nil {
		return migration.Window{}, err
	}
	w := migration.Window{Folder: r.folder, Head: h, Tally: tally, Items: r.freshItems}
	switch {
	case r.stale, r.entries > compactAfter && r.Finished:
		w.Append, w.Replace = r.encode(r.uids.runs, r.items()), true
		r.entries, r.stale = 1, false
	case len(r.fresh)+len(r.freshItems) > 0:
		w.Append = r.encode(r.fresh, r.freshItems)
		r.entries++
	}
	r.fresh, r.freshItems = nil, nil
	return w, nil
}

// notStored takes back what window said is stored: w may not be, or may be after all.
// The next window replaces the stored journal as a whole.
func (r *record) notStored(w migration.Window) {
	r.stale = true
	r.freshItems = append(w.Items, r.freshItems...)
}

func (r *record) items() []migration.Item {
	var items []migration.Item
	for u := range r.skippedUIDs().All() {
		items = append(items, r.skipped[u])
	}
	return items
}

// A journal entry is, in varints: the number of flag sets and each as length and
// bytes; the number of runs and each as the distance of src from the run before's
// end, dst, n, flag set; then the skipped items as JSON.
func (r *record) encode(runs []run, items []migration.Item) []byte {
	local := map[uint32]uint64{}
	var sets []string
	for _, x := range runs {
		if _, ok := local[x.flags]; !ok {
			local[x.flags] = uint64(len(sets))
			sets = append(sets, r.uids.flagSets.sets[x.flags].String())
		}
	}
	b := binary.AppendUvarint(nil, uint64(len(sets)))
	for _, s := range sets {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendUvarint(b, uint64(len(runs)))
	var src, dst int64
	for _, x := range runs {
		b = binary.AppendVarint(b, int64(x.src)-src)
		if x.dst == 0 {
			b = append(b, 0)
		} else {
			b = append(b, 1)
			b = binary.AppendVarint(b, int64(x.dst)-dst)
			dst = int64(x.dst) + int64(x.n)
		}
		b = binary.AppendUvarint(b, uint64(x.n))
		b = binary.AppendUvarint(b, local[x.flags])
		src = int64(x.src) + int64(x.n)
	}
	if len(items) > 0 {
		j, err := json.Marshal(items)
		if err != nil { // strings, numbers and a time: cannot fail
			panic(err)
		}
		b = append(b, j...)
	}
	return b
}

// encodeSet writes source UIDs as a journal entry; decodeSet reads them.
func encodeSet(set mailbox.UIDSet) []byte {
	r := newRecord("")
	for _, x := range set {
		r.uids.put(run{src: x.First, n: uint32(x.Len())})
	}
	return r.encode(r.uids.runs, nil)
}

func decodeSet(entry []byte) (mailbox.UIDSet, error) {
	r := newRecord("")
	if len(entry) > 0 {
		if err := r.replay(entry); err != nil {
			return nil, err
		}
	}
	return r.uids.sources(), nil
}

// replay applies one journal entry.
func (r *record) replay(entry []byte) error {
	d := decoder{b: entry}
	sets := make([]string, 0, 8)
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		sets = append(sets, string(d.bytes(d.uvarint())))
	}
	var src, dst int64
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		src += d.varint()
		known := d.byte() != 0
		if known {
			dst += d.varint()
		}
		n, set := d.uvarint(), d.uvarint()
		if d.err != nil {
			return d.err
		}
		if set >= uint64(len(sets)) || !validRun(src, n) || known && !validRun(dst, n) {
			return errors.New("it is damaged")
		}
		x := run{src: mailbox.UID(src), n: uint32(n)}
		if known {
			x.dst = mailbox.UID(dst)
		}
		x.flags = r.uids.flagSets.add(mailbox.ParseFlags(sets[set]))
		r.uids.put(x)
		r.unskip(x)
		src += int64(n)
		if known {
			dst += int64(n)
		}
	}
	if d.err != nil {
		return d.err
	}
	if len(d.b) == 0 {
		return nil
	}
	var items []migration.Item
	if err := json.Unmarshal(d.b, &items); err != nil {
		return err
	}
	for _, it := range items {
		r.skipped[mailbox.UID(it.UID)] = it
	}
	return nil
}

// validRun reports whether n UIDs from first on can be.
func validRun(first int64, n uint64) bool {
	const last = int64(mailbox.MaxUID)
	return first > 0 && n > 0 && first <= last && n <= uint64(last-first+1)
}

type decoder struct {
	b   []byte
	err error
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	d.advance(n)
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	d.advance(n)
	return v
}

func (d *decoder) byte() byte {
	b := d.bytes(1)
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

func (d *decoder) bytes(n uint64) []byte {
	if n > uint64(len(d.b)) {
		d.advance(0)
		return nil
	}
	b := d.b[:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) advance(n int) {
	if n <= 0 {
		d.err = fmt.Errorf("it ends too early")
		d.b = nil
		return
	}
	d.b = d.b[n:]
}
