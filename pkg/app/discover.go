package app

import (
	"fmt"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/discover"
	"github.com/mailhaul/mailhaul/pkg/provider"
)

// newFinder finds mail servers with the presets' help, over the guarded dialer.
func newFinder(dial dialer, resolver string) (*discover.Finder, error) {
	at, err := discover.ParseResolver(resolver)
	if err != nil {
		return nil, fmt.Errorf("MAILHAUL_RESOLVER: %w", err)
	}
	return discover.New(discover.Config{Dial: dial, Resolver: at, Presets: discover.Presets{
		OfDomain: func(domain string) (discover.Server, bool) {
			p, known := provider.OfDomain(domain)
			return serverOf(p), known
		},
		OfExchanger: func(host string) (discover.Server, string, bool) {
			p, pattern, known := provider.OfExchanger(host)
			return serverOf(p), pattern, known
		},
		OfHost: func(host string) string {
			p, _ := provider.OfHost(host)
			return p.Name
		},
	}}), nil
}

func serverOf(p provider.Preset) discover.Server {
	out := discover.Server{Preset: p.Name, Host: p.Host, Port: p.Port, Security: p.Security}
	switch {
	case strings.HasPrefix(p.Login, string(discover.LocalPart)):
		out.Login = discover.LocalPart
	case strings.HasPrefix(p.Login, string(discover.FullAddress)):
		out.Login = discover.FullAddress
	}
	return out
}
