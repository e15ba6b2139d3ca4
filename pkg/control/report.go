package control

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/report"
)

// page is how many rows are read from the store at a time.
const page = 500

// Report finds one report of a batch, or of a removed batch whose report was kept,
// and returns what writes it. Errors before the first byte come from Report itself.
func (c *Control) Report(ctx context.Context, a Actor, org, batch string, kind report.Kind, f report.Format) (func(io.Writer) error, error) {
	o, err := c.enter(ctx, a, org, migration.Viewer)
	if err != nil {
		return nil, err
	}
	switch {
	case !slices.Contains(report.Kinds, kind):
		return nil, fault(migration.NotFound, "there is no report %q: statistics, errors, items, receipts", migration.Clean(string(kind)))
	case !f.Known():
		return nil, fault(migration.InvalidArgument, "format %q is not known: csv, json, html", migration.Clean(string(f)))
	}
	b, err := c.store.BatchByName(ctx, o.ID, batch)
	if code(err) == migration.NotFound {
		return c.keptReport(ctx, o.ID, batch, kind, f)
	}
	if err != nil {
		return nil, missing(err, "batch", batch)
	}
	h := report.Head{Report: kind, Batch: batch, GeneratedAt: c.now()}
	return func(w io.Writer) error {
		switch kind {
		case report.Errors:
			return report.Write(w, f, h, c.errorRows(ctx, b.ID))
		case report.Items:
			return report.Write(w, f, h, c.itemRows(ctx, b.ID))
		case report.Receipts:
			return report.Write(w, f, h, c.receiptRows(ctx, b.ID))
		default:
			return report.Write(w, f, h, c.statisticsRows(ctx, b.ID))
		}
	}, nil
}

func (c *Control) keptReport(ctx context.Context, orgID int64, batch string, kind report.Kind, f report.Format) (func(io.Writer) error, error) {
	body, err := c.store.KeptReport(ctx, orgID, batch)
	if err := missing(err, "batch", batch); err != nil {
		return nil, err
	}
	kept, err := report.Unpack(body)
	if err != nil {
		return nil, err
	}
	return func(w io.Writer) error { return kept.Write(w, f, kind) }, nil
}

func (c *Control) statisticsRows(ctx context.Context, batchID int64) iter.Seq2[report.StatisticsRow, error] {
	return func(yield func(report.StatisticsRow, error) bool) {
		for u, err := range c.allUsers(ctx, batchID) {
			if !yield(report.StatisticsOf(u), err) || err != nil {
				return
			}
		}
	}
}

func (c *Control) errorRows(ctx context.Context, batchID int64) iter.Seq2[report.ErrorRow, error] {
	return func(yield func(report.ErrorRow, error) bool) {
		for u, err := range c.allUsers(ctx, batchID) {
			row, belongs := report.ErrorOf(u)
			if err == nil && !belongs {
				continue
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (c *Control) allUsers(ctx context.Context, batchID int64) iter.Seq2[migration.User, error] {
	return pages(func(after string) ([]migration.User, error) {
		return c.store.ListUsers(ctx, batchID, migration.UserFilter{}, after, page)
	}, func(u migration.User) string { return u.EmailAddress })
}

func (c *Control) receiptRows(ctx context.Context, batchID int64) iter.Seq2[report.ReceiptRow, error] {
	return func(yield func(report.ReceiptRow, error) bool) {
		list := pages(func(after string) ([]migration.UserReceipt, error) {
			return c.store.ListReceipts(ctx, batchID, after, page)
		}, func(r migration.UserReceipt) string { return r.EmailAddress })
		for r, err := range list {
			if !yield(report.ReceiptOf(r), err) || err != nil {
				return
			}
		}
	}
}

func (c *Control) itemRows(ctx context.Context, batchID int64) iter.Seq2[report.ItemRow, error] {
	return func(yield func(report.ItemRow, error) bool) {
		list := pages(func(after int64) ([]migration.UserItem, error) {
			return c.store.ListItems(ctx, batchID, "", after, page)
		}, func(i migration.UserItem) int64 { return i.ID })
		for i, err := range list {
			if !yield(report.ItemOf(i), err) || err != nil {
				return
			}
		}
	}
}

// pages walks a list that the store gives out page by page.
func pages[T, K any](list func(after K) ([]T, error), key func(T) K) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		for after := *new(K); ; {
			rows, err := list(after)
			if err != nil {
				yield(zero, err)
				return
			}
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
			if len(rows) < page {
				return
			}
			after = key(rows[len(rows)-1])
		}
	}
}

// keepReport stores the final report of a batch that is about to go.
func (c *Control) keepReport(ctx context.Context, b migration.Batch) error {
	k := report.Kept{Batch: b.Name, GeneratedAt: c.now()}
	for row, err := range c.statisticsRows(ctx, b.ID) {
		if err != nil {
			return fmt.Errorf("make the final report of %q: %w", b.Name, err)
		}
		k.Statistics = append(k.Statistics, row)
	}
	for row, err := range c.errorRows(ctx, b.ID) {
		if err != nil {
			return fmt.Errorf("make the final report of %q: %w", b.Name, err)
		}
		k.Errors = append(k.Errors, row)
	}
	for row, err := range c.itemRows(ctx, b.ID) {
		if err != nil {
			return fmt.Errorf("make the final report of %q: %w", b.Name, err)
		}
		if k.Items = append(k.Items, row); len(k.Items) == report.MaxKeptItems {
			break
		}
	}
	for row, err := range c.receiptRows(ctx, b.ID) {
		if err != nil {
			return fmt.Errorf("make the final report of %q: %w", b.Name, err)
		}
		row.Differences = nil // up to 10,000 a user: the counts are what is kept
		k.Receipts = append(k.Receipts, row)
	}
	body, err := k.Pack()
	if err != nil {
		return err
	}
	if err := c.store.KeepReport(ctx, b.OrgID, b.Name, body, k.GeneratedAt); err != nil {
		return fmt.Errorf("keep the final report of %q: %w", b.Name, err)
	}
	return nil
}

// Items lists the messages that were skipped or failed, in the order of their ID.
func (c *Control) Items(ctx context.Context, a Actor, org, batch string, code migration.Code, after int64, limit int) ([]migration.UserItem, error) {
	b, err := c.enterBatch(ctx, a, org, batch, migration.Viewer)
	if err != nil {
		return nil, err
	}
	if code, err = spelled("code", code, migration.Codes()); err != nil {
		return nil, err
	}
	return c.store.ListItems(ctx, b.ID, code, after, limit)
}
