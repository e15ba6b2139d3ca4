package app

import (
	"context"
	"fmt"
	"io"

	"github.com/mailhaul/mailhaul/pkg/config"
	"github.com/mailhaul/mailhaul/pkg/control"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/notify"
	"github.com/mailhaul/mailhaul/pkg/report"
)

// newNotifier joins what tells people and programs outside of events.
func newNotifier(b *base, c config.Mail, reports *control.Control) (*notify.Notifier, error) {
	open := func(w migration.Webhook) (migration.Secret, error) {
		return b.vault.Open(w.Secret, control.SecretOfWebhook(w.OrgID))
	}
	out := notify.Config{Store: b.store, Webhook: notify.NewWebhooks(b.store, open, notify.Dial(b.dial), nil), Log: b.log}
	if !c.SMTPURL.Empty() {
		server, err := notify.ParseServer(migration.NewSecret(c.SMTPURL.Reveal()), c.SMTPFrom)
		if err != nil {
			return nil, fmt.Errorf("MAILHAUL_SMTP_URL, MAILHAUL_SMTP_FROM: %w", err)
		}
		out.Mail = notify.NewMail(server, notify.Dial(b.dial), nil, attachments(reports))
	}
	return notify.New(out), nil
}

// attachments are the reports that a mail about a batch carries.
func attachments(c *control.Control) notify.Reports {
	service := control.Actor{Role: migration.Owner}
	return func(ctx context.Context, org, batch string) ([]notify.Attachment, error) {
		var out []notify.Attachment
		for _, r := range []struct {
			kind   report.Kind
			format report.Format
		}{{report.Statistics, report.HTML}, {report.Statistics, report.CSV}, {report.Errors, report.CSV}, {report.Receipts, report.CSV}} {
			write, err := c.Report(ctx, service, org, batch, r.kind, r.format)
			if err != nil && migration.AsFault(err).Code == migration.NotFound {
				return nil, nil // removed meanwhile
			}
			if err != nil {
				return nil, err
			}
			out = append(out, notify.Attachment{
				Name: fmt.Sprintf("%s-%s.%s", batch, r.kind, r.format), ContentType: r.format.ContentType(),
				Write: func(w io.Writer) error { return write(w) },
			})
		}
		return out, nil
	}
}
