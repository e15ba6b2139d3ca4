package mailboxtest_test

import (
	"testing"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
	"github.com/mailhaul/mailhaul/pkg/mailbox/mailboxtest"
)

func TestMemory(t *testing.T) {
	mailboxtest.Run(t, func(*testing.T) mailbox.Opener { return mailboxtest.NewMemory().Open })
}
