package pair_test

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/imapmail"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/corpus"
	"github.com/mailhaul/mailhaul/test/servers"
)

// TestCorpus carries messages that other programs stumbled over, byte for byte.
func TestCorpus(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	corpus.Put(t, imapmail.Account{
		Host: w.source.Host, Port: w.source.Port, Security: migration.Plain, User: user,
		Password: migration.NewSecret(servers.Password), Side: migration.Source,
	}, corpus.Awkward(t, "../.."))
	r := w.run("sync")
	if r.Skipped+r.Failed != 0 || r.Copied == 0 {
		t.Fatalf("pass: %+v", r)
	}
	w.same()
}
