package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/mailhaul/mailhaul/pkg/config"
)

// graceTime is how long requests under way have when the process ends.
const graceTime = 5 * time.Second

// readTime bounds how long a request may come in that no handler reads: net/http
// would wait for the rest of a stranger's body, for ever. Package httpapi sets a time
// of its own where it reads.
const readTime = 20 * time.Second

// server is one HTTP listener.
type server struct {
	listener net.Listener
	http     *http.Server
	tls      bool
	log      *zap.Logger
}

// listen opens address; with orElse a free port beside it where it is taken.
func listen(address string, h config.HTTP, orElse bool, handler http.Handler, log *zap.Logger) (*server, error) {
	l, err := net.Listen("tcp", address)
	if orElse && errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(address)
		taken := err
		if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err == nil {
			log.Info("port is taken, another one is used", zap.String("wanted", address), zap.String("address", l.Addr().String()), zap.Error(taken))
		}
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", address, err)
	}
	s := &server{listener: l, tls: h.TLSCert != "", log: log, http: &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: readTime, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: zap.NewStdLog(log.WithOptions(zap.IncreaseLevel(zap.ErrorLevel))),
	}}
	if s.tls {
		cert, err := tls.LoadX509KeyPair(h.TLSCert, h.TLSKey)
		if err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("load certificate: %w", err)
		}
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}}
	}
	return s, nil
}

// url is where the server is reached.
func (s *server) url() string {
	if s.tls {
		return "https://" + s.listener.Addr().String()
	}
	return "http://" + s.listener.Addr().String()
}

// run serves until ctx ends, and answers what is under way.
func (s *server) run(ctx context.Context) error {
	done := make(chan error, 1)
	go func() {
		if s.tls {
			done <- s.http.ServeTLS(s.listener, "", "")
		} else {
			done <- s.http.Serve(s.listener)
		}
	}()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceTime)
	defer cancel()
	if err := s.http.Shutdown(grace); err != nil {
		s.log.Warn("requests were cut off", zap.String("address", s.url()), zap.Duration("after", graceTime))
		_ = s.http.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", s.listener.Addr(), err)
	}
	return nil
}
