package app

import (
	"context"
	"errors"
	"fmt"
	_ "time/tzdata" // hours of endpoints name zones, and a container may have no files of them

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/netguard"
	"github.com/mailhaul/mailhaul/pkg/queue"
	"github.com/mailhaul/mailhaul/pkg/store"
	"github.com/mailhaul/mailhaul/pkg/telemetry"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

// base is what every process stands on.
type base struct {
	log      *zap.Logger
	store    *store.Store
	queue    *queue.Client
	redisURL string
	vault    *vault.Vault
	dial     dialer
	build    telemetry.Build
	metrics  *telemetry.Metrics
}

// openBase opens the store (bringing its tables up to date) and the vault. Redis is
// not dialled: it may come later.
func openBase(ctx context.Context, c config.Common, log *zap.Logger) (b *base, err error) {
	b = &base{log: log, redisURL: c.RedisURL.Reveal(), build: telemetry.ReadBuild()}
	b.metrics = telemetry.NewMetrics(b.build)
	policy, err := netguard.Parse(c.AllowPrivateNetworks)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", netguard.Setting, err)
	}
	b.dial = policy.DialContext
	if b.vault, err = vault.Open(c.MasterKey.Reveal()); err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	if b.queue, err = queue.NewClient(b.redisURL, log); err != nil {
		return nil, err
	}
	if b.store, err = store.Open(ctx, c.DatabaseURL.Reveal()); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", err), b.queue.Close())
	}
	return b, nil
}

func (b *base) close() error { return errors.Join(b.queue.Close(), b.store.Close()) }

func (b *base) checks() []check {
	return []check{{"database", b.store.Ping}, {"redis", b.queue.Ping}}
}
