package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/vault"
)

// Standalone is everything in one process, on one data directory.
type Standalone struct {
	dir    *dataDir
	redis  *miniredis.Miniredis // nil where a real one was given
	base   *base
	api    *API
	worker *Worker
	token  string
	// tokenFile holds it, where it was not given.
	tokenFile string
}

// NewStandalone opens everything: the API listens when it returns. Run closes it.
func NewStandalone(ctx context.Context, c config.Standalone, log *zap.Logger) (s *Standalone, err error) {
	s = &Standalone{}
	defer func() {
		if err == nil {
			return
		}
		if s.api != nil {
			err = errors.Join(err, s.api.closeListeners())
		}
		err = errors.Join(err, s.close())
		s = nil
	}()
	if s.dir, err = openDataDir(c.DataDir); err != nil {
		return s, err
	}
	alone := c.DatabaseURL.Empty()
	if err = s.complete(&c); err != nil {
		return s, err
	}
	if s.base, err = openBase(ctx, c.Common, log); err != nil {
		return s, err
	}
	s.api, err = newAPI(s.base, config.API{
		Common: c.Common, HTTP: c.HTTP, Mail: c.Mail, BootstrapToken: c.BootstrapToken, ResyncInterval: c.ResyncInterval,
		Resolver: c.Resolver,
	})
	if err != nil {
		return s, err
	}
	if s.tokenFile != "" {
		// A bootstrap token would count no more as soon as somebody made another.
		if err = s.api.control.KeepOwnerToken(ctx, migration.NewSecret(s.token)); err != nil {
			return s, err
		}
	}
	if alone {
		// The directory's lock says that whoever held a lease here is gone.
		if err = s.api.dispatcher.TakeOverAll(ctx); err != nil {
			return s, err
		}
	}
	s.worker, err = newWorker(s.base, config.Worker{Common: c.Common, Concurrency: c.Concurrency, Slice: c.Slice, ByteBudget: c.ByteBudget, Settle: c.Settle})
	return s, err
}

// complete fills in what the data directory and the process itself provide.
func (s *Standalone) complete(c *config.Standalone) error {
	if c.DatabaseURL.Empty() {
		c.DatabaseURL = config.NewSecret("sqlite://" + s.dir.file("mailhaul.db"))
	}
	if c.MasterKey.Empty() {
		key, err := s.dir.secret("master.key", vault.GenerateKey)
		if err != nil {
			return err
		}
		c.MasterKey = config.NewSecret(key)
	}
	if s.token = c.BootstrapToken.Reveal(); s.token == "" {
		token, err := s.dir.secret("token", newToken)
		if err != nil {
			return err
		}
		s.token, s.tokenFile = token, s.dir.file("token")
	}
	if c.RedisURL.Empty() {
		s.redis = miniredis.NewMiniRedis()
		password := newToken() // the port is open to everybody on this machine
		s.redis.RequireAuth(password)
		if err := s.redis.StartAddr("127.0.0.1:0"); err != nil {
			return fmt.Errorf("start the queue: %w", err)
		}
		c.RedisURL = config.NewSecret("redis://:" + password + "@" + s.redis.Addr() + "/0")
	}
	return nil
}

// URL is where the API is reached.
func (s *Standalone) URL() string { return s.api.URL() }

// Token is an owner's: the one in TokenFile, or the bootstrap token that was given,
// which counts as long as the store has no other.
func (s *Standalone) Token() string { return s.token }

// TokenFile is where Token is kept; "" where it was given in the configuration.
func (s *Standalone) TokenFile() string { return s.tokenFile }

// Run runs everything until ctx ends, drains, and closes.
func (s *Standalone) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	// The queue's clock, the API's listener and the queue itself outlive the passes.
	alive, ended := context.WithCancel(context.WithoutCancel(ctx))
	defer ended()
	g.Go(func() error { return s.tick(alive) })
	g.Go(func() error { return s.api.run(ctx) })
	g.Go(func() error {
		defer ended()
		return s.worker.run(ctx)
	})
	return errors.Join(g.Wait(), s.close())
}

// tick moves the clock of the in-process Redis, by which entries expire: it stands
// still otherwise.
func (s *Standalone) tick(ctx context.Context) error {
	if s.redis == nil {
		return nil
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.redis.FastForward(time.Second)
		}
	}
}

func (s *Standalone) close() error {
	var problems []error
	if s.base != nil {
		problems = append(problems, s.base.close())
	}
	if s.redis != nil {
		s.redis.Close()
	}
	if s.dir != nil {
		problems = append(problems, s.dir.close())
	}
	return errors.Join(problems...)
}
