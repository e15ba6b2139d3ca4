package imapmail

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// handshake puts TLS over the connection.
func (b *opening) handshake(ctx context.Context) error {
	what := "secure the connection to " + b.address()
	config, err := b.tlsConfig()
	if err != nil {
		return migration.NewFault(migration.CertificateInvalid, migration.ScopeEndpoint, b.account.Side, what+": "+err.Error(), err)
	}
	limited, cancel := context.WithTimeout(ctx, min(dialTimeout, b.timeout))
	defer cancel()
	wire := tls.Client(b.conn.raw, config)
	if err := wire.HandshakeContext(limited); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if errors.Is(err, context.DeadlineExceeded) { // silence says nothing about TLS
			return b.account.unreachable(errors.New("the server made no progress"), migration.ConnectionFailed, what)
		}
		code, reason := tlsFailure(err)
		return b.account.unreachable(errors.Join(reason, err), code, what)
	}
	b.secured = b.describe(wire.ConnectionState())
	b.conn.goOver(wire)
	return nil
}

// tlsConfig asks for a certificate that an authority vouches for, or for what the
// account trusts in its place.
func (b *opening) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if b.options.TLS != nil {
		config = b.options.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = b.account.Host
	}
	switch {
	case b.account.TLSPin != "":
		want, err := migration.ParsePin(b.account.TLSPin)
		if err != nil {
			return nil, err
		}
		config.InsecureSkipVerify = true // the key is judged instead, also in a resumed session
		config.VerifyConnection = func(state tls.ConnectionState) error {
			return pinned(state.PeerCertificates, want)
		}
	case b.account.TLSInsecure:
		config.InsecureSkipVerify = true
	}
	return config, nil
}

// errOtherKey says that the server's key is not the pinned one.
type errOtherKey struct{ has, want string }

func (e errOtherKey) Error() string {
	return fmt.Sprintf("the certificate's key is not the pinned one: its pin is %s, the endpoint's tlsPin %s", e.has, e.want)
}

func pinned(chain []*x509.Certificate, want [32]byte) error {
	if len(chain) == 0 {
		return errors.New("the server shows no certificate")
	}
	has := migration.PinOf(chain[0].RawSubjectPublicKeyInfo)
	if got, err := migration.ParsePin(has); err != nil || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return errOtherKey{has, fmt.Sprintf("%x", want)}
	}
	return nil
}

// tlsFailure says what a failed handshake means; the reason names the pin that would
// accept the server's certificate.
func tlsFailure(err error) (migration.Code, error) {
	var (
		other   errOtherKey
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &other):
		return migration.CertificateInvalid, other
	case errors.As(err, &record):
		return migration.TLSFailed, errors.New("the server does not speak TLS on this port")
	case oldVersion(err):
		return migration.TLSFailed, errors.New("the server speaks no version of TLS that is still safe: 1.2 or later is needed")
	case !errors.As(err, &verify) || len(verify.UnverifiedCertificates) == 0:
		return migration.TLSFailed, nil
	}
	leaf := verify.UnverifiedCertificates[0]
	reason := "the certificate is not acceptable"
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		reason = "the certificate is not yet valid"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		reason = "the certificate has expired"
	case errors.As(err, &host):
		reason = "the certificate is for another host"
	case errors.As(err, &unknown) && string(leaf.RawIssuer) == string(leaf.RawSubject):
		reason = "the certificate is self-signed"
	case errors.As(err, &unknown):
		reason = "the certificate is from an unknown authority"
	}
	return migration.CertificateInvalid, fmt.Errorf("%s (its pin is %s)", reason, migration.PinOf(leaf.RawSubjectPublicKeyInfo))
}

// oldVersion reports whether the two sides have no version of TLS in common: crypto/tls
// has no type for the server's alert (RFC 8446 section 6.2), nor for its own refusal.
func oldVersion(err error) bool {
	return strings.Contains(err.Error(), "protocol version not supported") || strings.Contains(err.Error(), "unsupported protocol version")
}

// describe tells, for a test of the endpoint, how the connection is protected.
func (b *opening) describe(state tls.ConnectionState) string {
	trust := "an authority vouches for the certificate"
	switch {
	case b.account.TLSPin != "":
		trust = "the certificate's key is the pinned one (tlsPin)"
	case b.account.TLSInsecure:
		trust = "the certificate is NOT checked (tlsInsecure)"
	}
	if len(state.PeerCertificates) == 0 {
		return trust
	}
	leaf := state.PeerCertificates[0]
	return fmt.Sprintf("%s, %s; valid until %s, pin %s", tls.VersionName(state.Version), trust,
		leaf.NotAfter.UTC().Format(time.DateOnly), migration.PinOf(leaf.RawSubjectPublicKeyInfo))
}
