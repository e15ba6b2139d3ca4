package control

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// tokenPrefix makes a token recognisable to people and to secret scanners.
const tokenPrefix = "mht_"

// HashToken is how a token's value is known to the store. The value has 160 bits of
// chance in it, so a plain hash cannot be turned back.
func HashToken(value string) []byte {
	sum := sha256.Sum256([]byte(value))
	return sum[:]
}

// NewToken is a token just made: the only time that its value is told.
type NewToken struct {
	migration.Token
	Value migration.Secret
	// Warning says what follows from this token, "" for nothing.
	Warning string
}

// CreateToken makes a token; expires 0 means never. Reports of the batches that are
// made with it go to email, "" for nobody. Owner tokens belong to no organisation and
// are given by owners alone.
func (c *Control) CreateToken(ctx context.Context, a Actor, org string, role migration.Role, expires time.Duration, email string) (NewToken, error) {
	o, err := c.enter(ctx, a, org, migration.Admin)
	if err != nil {
		return NewToken{}, err
	}
	if !role.Valid() {
		return NewToken{}, fault(migration.InvalidArgument, "role %q is none of owner, admin, operator, viewer", role)
	}
	if err := a.needs(role); err != nil {
		return NewToken{}, err
	}
	if expires < 0 || expires > 0 && expires < time.Minute {
		return NewToken{}, fault(migration.InvalidArgument, "a token lives a minute at least, not %s", expires)
	}
	if email != "" {
		if err := checkMailAddress("email", email); err != nil {
			return NewToken{}, err
		}
	}
	before, err := c.store.CountTokens(ctx)
	if err != nil {
		return NewToken{}, fmt.Errorf("count tokens: %w", err)
	}
	t := NewToken{Value: migration.NewSecret(tokenPrefix + rand.Text() + rand.Text()[:6])}
	t.Token = migration.Token{
		ID: newTokenID(), OrgID: o.ID, Role: role,
		Hash: HashToken(t.Value.Reveal()), CreatedAt: c.now(), Email: email,
	}
	if role == migration.Owner {
		t.OrgID = 0
	}
	if expires > 0 {
		t.ExpiresAt = t.CreatedAt.Add(expires)
	}
	if err := c.store.CreateToken(ctx, t.Token); err != nil {
		return NewToken{}, fmt.Errorf("create token: %w", err)
	}
	if before == 0 && role != migration.Owner {
		t.Warning = "this is the first token: the bootstrap token counts no more, and no owner token exists"
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "token.created", Data: map[string]any{"token": t.ID, "role": string(role)}})
	return t, nil
}

func newTokenID() string {
	id := make([]byte, 6)
	_, _ = rand.Read(id) // never fails (crypto/rand)
	return hex.EncodeToString(id)
}

// KeepOwnerToken makes a value that the operator of the process has an owner's token,
// for ever. One that is known already is left as it is, also revoked.
func (c *Control) KeepOwnerToken(ctx context.Context, value migration.Secret) error {
	t := migration.Token{ID: newTokenID(), Role: migration.Owner, Hash: HashToken(value.Reveal()), CreatedAt: c.now()}
	if err := c.store.CreateToken(ctx, t); err != nil && code(err) != migration.Conflict {
		return fmt.Errorf("keep the owner's token: %w", err)
	}
	return nil
}

// Tokens lists an organisation's tokens, without their values; for an owner also the
// owners'.
func (c *Control) Tokens(ctx context.Context, a Actor, org string) ([]migration.Token, error) {
	o, err := c.enter(ctx, a, org, migration.Admin)
	if err != nil {
		return nil, err
	}
	list, err := c.store.ListTokens(ctx, o.ID)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	if a.Role == migration.Owner {
		owners, err := c.store.ListTokens(ctx, 0)
		if err != nil {
			return nil, fmt.Errorf("list owner tokens: %w", err)
		}
		list = append(list, owners...)
	}
	return list, nil
}

// Token finds one token by its ID.
func (c *Control) Token(ctx context.Context, a Actor, org, id string) (migration.Token, error) {
	list, err := c.Tokens(ctx, a, org)
	if err != nil {
		return migration.Token{}, err
	}
	for _, t := range list {
		if t.ID == id {
			return t, nil
		}
	}
	return migration.Token{}, fault(migration.NotFound, "there is no token %q", id)
}

// RevokeToken ends a token at once.
func (c *Control) RevokeToken(ctx context.Context, a Actor, org, id string) error {
	t, err := c.Token(ctx, a, org, id)
	if err != nil {
		return err
	}
	if err := c.store.RevokeToken(ctx, t.OrgID, id, c.now()); err != nil {
		return fmt.Errorf("revoke token %s: %w", id, err)
	}
	o, err := c.store.OrgByName(ctx, org)
	if err != nil {
		return fmt.Errorf("find the organisation: %w", err)
	}
	c.audit(ctx, a, migration.Event{OrgID: o.ID, Kind: "token.revoked", Data: map[string]any{"token": id}})
	return nil
}
