package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"
)

// keptVersion is the form that Pack writes and Unpack understands.
const keptVersion = 1

// MaxKeptItems bounds the messages that are kept of a removed batch: where more were left
// behind, the statistics have their numbers.
const MaxKeptItems = 100_000

// maxKept bounds what Unpack makes of a kept report.
const maxKept = 256 << 20

// Kept is the final report of a batch that was removed: all in one.
type Kept struct {
	Version     int             `json:"version"`
	Batch       string          `json:"batch"`
	GeneratedAt time.Time       `json:"generatedAt"`
	Statistics  []StatisticsRow `json:"statistics"`
	Errors      []ErrorRow      `json:"errors"`
	Items       []ItemRow       `json:"items"` // the first of them: see MaxKeptItems
	Receipts    []ReceiptRow    `json:"receipts"`
}

// Pack returns k as it is stored.
func (k Kept) Pack() ([]byte, error) {
	k.Version = keptVersion
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if err := json.NewEncoder(z).Encode(k); err != nil {
		return nil, fmt.Errorf("pack the report of %q: %w", k.Batch, err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack the report of %q: %w", k.Batch, err)
	}
	return out.Bytes(), nil
}

// Unpack is the inverse of Pack.
func Unpack(body []byte) (Kept, error) {
	var k Kept
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return Kept{}, fmt.Errorf("unpack a kept report: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(z, maxKept)).Decode(&k); err != nil {
		return Kept{}, fmt.Errorf("unpack a kept report: %w", err)
	}
	if k.Version != keptVersion {
		return Kept{}, fmt.Errorf("unpack a kept report: version %d is not known", k.Version)
	}
	return k, nil
}

// Write renders one of the kept reports.
func (k Kept) Write(w io.Writer, f Format, which Kind) error {
	h := Head{Report: which, Batch: k.Batch, GeneratedAt: k.GeneratedAt}
	switch which {
	case Errors:
		return Write(w, f, h, each(k.Errors))
	case Items:
		return Write(w, f, h, each(k.Items))
	case Receipts:
		return Write(w, f, h, each(k.Receipts))
	default:
		return Write(w, f, h, each(k.Statistics))
	}
}

func each[R any](rows []R) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}
