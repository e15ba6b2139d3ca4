package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func testScope(t *testing.T, open opener) {
	s, ctx := open(t), t.Context()
	w := newWorld(t, s, "acme")
	other := newWorld(t, s, "other")
	set := func(list []string) migration.Endpoint {
		t.Helper()
		e, err := s.ChangeScope(ctx, w.org.ID, w.source.ID, func([]string) ([]string, error) { return list, nil })
		w.ok(err)
		return e
	}
	if list, err := s.Scope(ctx, w.source.ID); list != nil || err != nil {
		t.Errorf("a new endpoint's scope is %v, %v; want none", list, err)
	}

	// As many as there can be, found in any case and not with another's root.
	full := make([]string, migration.MaxInScope)
	for i := range full {
		full[i] = fmt.Sprintf("U%05d@old.example", i)
	}
	full[7] = "Root@old.example /shared/Ann"
	if e := set(full); e.ScopeSize == nil || *e.ScopeSize != len(full) {
		t.Fatalf("the changed endpoint has a scope of %v", e.ScopeSize)
	}
	if e, err := s.EndpointByID(ctx, w.source.ID); err != nil || e.ScopeSize == nil || *e.ScopeSize != len(full) {
		t.Errorf("the endpoint has a scope of %v, %v", e.ScopeSize, err)
	}
	names := []string{"u00000@OLD.example", "nobody@old.example", "U09999@old.example", "u09999@old.example", "root@old.example /shared/Ann", "root@old.example /shared/ann", "root@old.example"}
	in, err := s.InScope(ctx, w.source.ID, slices.Concat(names, full[:2*askAtOnce]))
	w.ok(err)
	for i, want := range []bool{true, false, true, true, true, false, false} {
		if in[names[i]] != want {
			t.Errorf("%s in scope: %v, want %v", names[i], in[names[i]], want)
		}
	}
	if n := len(in); n != 4+2*askAtOnce {
		t.Errorf("%d names are in scope", n)
	}
	for _, id := range []int64{w.target.ID, other.source.ID} {
		if in, err := s.InScope(ctx, id, full[:1]); len(in) != 0 || err != nil {
			t.Errorf("another endpoint's scope: %v, %v", in, err)
		}
	}

	// What is refused changes nothing; nobody is not everybody; settings leave it alone.
	refused := errors.New("refused")
	_, err = s.ChangeScope(ctx, w.org.ID, w.source.ID, func(list []string) ([]string, error) {
		if len(list) != len(full) {
			t.Errorf("change sees %d names", len(list))
		}
		return nil, refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("a refused change answers %v", err)
	}
	if list, err := s.Scope(ctx, w.source.ID); len(list) != len(full) || list[0] != "Root@old.example /shared/Ann" || list[9999] != "U09999@old.example" || err != nil {
		t.Errorf("after a refused change: %d names, %v", len(list), err)
	}
	set([]string{})
	if list, err := s.Scope(ctx, w.source.ID); list == nil || len(list) != 0 || err != nil {
		t.Errorf("a list of nobody is %v, %v", list, err)
	}
	set([]string{"ann"})
	if e, err := s.ChangeEndpoint(ctx, w.org.ID, w.source.ID, func(e *migration.Endpoint) error { e.Host = "new.example"; return nil }); err != nil || e.ScopeSize == nil || *e.ScopeSize != 1 {
		t.Errorf("a changed endpoint has a scope of %v, %v", e.ScopeSize, err)
	}
	_, err = s.ChangeScope(ctx, other.org.ID, w.source.ID, func([]string) ([]string, error) { return nil, nil })
	w.refused(err, migration.NotFound)
	w.ok(s.DeleteEndpoint(ctx, w.org.ID, "source"))
	if in, err := s.InScope(ctx, w.source.ID, []string{"ann"}); len(in) != 0 || err != nil {
		t.Errorf("after its endpoint the scope is still there: %v, %v", in, err)
	}
	_, err = s.Scope(ctx, w.source.ID)
	w.refused(err, migration.NotFound)
}
