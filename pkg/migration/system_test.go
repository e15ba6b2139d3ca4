package migration_test

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestEndpointsOfOneSystem(t *testing.T) {
	for _, tt := range []struct {
		host string
		port int
		want string
	}{
		{"IMAP.Example.org", 993, "imap.example.org"},
		{"imap.example.org.", 143, "imap.example.org"},
		{"192.0.2.7", 993, "192.0.2.7"},
		{"127.0.0.1", 1143, "127.0.0.1:1143"},
		{"LocalHost", 1143, "localhost:1143"},
		{"::1", 1143, "[::1]:1143"},
	} {
		if got := (&migration.EndpointSpec{Host: tt.host, Port: tt.port}).System(); got != tt.want {
			t.Errorf("%s %d: %q, want %q", tt.host, tt.port, got, tt.want)
		}
	}
}
