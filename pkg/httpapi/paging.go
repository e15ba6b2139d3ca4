package httpapi

import (
	"encoding/base64"
	"strconv"

	"github.com/mailhaul/mailhaul/pkg/client"
)

// Paging is the parameters of every list.
type Paging struct {
	Limit  int    `query:"limit" default:"100" minimum:"1" maximum:"1000" doc:"how many items a page has at most"`
	Cursor string `query:"cursor" doc:"nextCursor of the page before"`
}

// after is the key that the page begins behind.
func (p Paging) after() (string, error) {
	key, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil || len(key) > 1024 {
		return "", invalid("cursor: not one of ours")
	}
	return string(key), nil
}

// afterID is after where the key is a number; 0 for the beginning.
func (p Paging) afterID() (int64, error) {
	if p.Cursor == "" {
		return 0, nil
	}
	key, err := p.after()
	if err != nil {
		return 0, err
	}
	id, err := strconv.ParseInt(key, 10, 64)
	if err != nil || id < 0 {
		return 0, invalid("cursor: not one of ours")
	}
	return id, nil
}

// page makes a page of the limit+1 rows that were asked for.
func page[T, W any](rows []T, limit int, wire func(T) W, key func(T) string) *pageOut[W] {
	out := &pageOut[W]{Body: client.Page[W]{Items: []W{}}}
	if len(rows) > limit {
		rows = rows[:limit]
		out.Body.NextCursor = base64.RawURLEncoding.EncodeToString([]byte(key(rows[limit-1])))
	}
	for _, r := range rows {
		out.Body.Items = append(out.Body.Items, wire(r))
	}
	return out
}

// slice is page for lists that the store gives out whole.
func slice[T, W any](rows []T, p Paging, wire func(T) W) (*pageOut[W], error) {
	from, err := p.afterID()
	if err != nil {
		return nil, err
	}
	start := int(min(from, int64(len(rows))))
	end := min(start+p.Limit, len(rows))
	out := page(rows[start:end], p.Limit, wire, nil)
	if end < len(rows) {
		out.Body.NextCursor = base64.RawURLEncoding.EncodeToString([]byte(strconv.Itoa(end)))
	}
	return out, nil
}

type pageOut[W any] struct{ Body client.Page[W] }
