package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// maxAttached bounds one report in a mail: many servers take no more than 10 MB in
// all. A larger one is fetched by command.
const maxAttached = 3 << 20

// Attachment is a report of a batch: Write writes it whole or fails.
type Attachment struct {
	Name, ContentType string
	Write             func(io.Writer) error
}

// Reports gives the reports of a batch that there are; none where it is gone.
type Reports func(ctx context.Context, org, batch string) ([]Attachment, error)

// Mail sends mail.
type Mail struct {
	server  Server
	dial    Dial
	tls     *tls.Config
	reports Reports
}

// NewMail returns a Sender of mail; base may be nil.
func NewMail(s Server, dial Dial, base *tls.Config, r Reports) *Mail {
	return &Mail{server: s, dial: dial, tls: base, reports: r}
}

// Send writes a mail about a delivery's event and hands it to the server.
func (m *Mail) Send(ctx context.Context, d migration.Delivery) (string, error) {
	var n migration.Notice
	if err := json.Unmarshal([]byte(d.Body), &n); err != nil {
		return "", refused{fmt.Errorf("read the event: %w", err)}
	}
	attached, err := m.reports(ctx, n.Data.Org, n.Data.Batch)
	if err != nil {
		return "", fmt.Errorf("make the reports: %w", err)
	}
	message, err := compose(m.server.From, d, n, attached)
	if err != nil {
		return "", fmt.Errorf("write the mail: %w", err)
	}
	return m.server.deliver(ctx, m.dial, m.tls, d.Address, message)
}

// subjects say what has happened.
func subject(n migration.Notice) string {
	what := "is in step"
	switch migration.BatchStatus(n.Data.Status) {
	case migration.BatchSyncedWithErrors:
		what = "is in step, with errors"
	case migration.BatchFailed:
		what = "has failed"
	case migration.BatchCompleted:
		what = "is completed"
	case migration.BatchCompletedWithErrors:
		what = "is completed, with errors"
	}
	return "Mailhaul: batch " + n.Data.Batch + " " + what
}

// compose writes the mail: a text and the reports (RFC 5322, RFC 2045).
func compose(from string, d migration.Delivery, n migration.Notice, attached []Attachment) ([]byte, error) {
	var out bytes.Buffer
	parts := multipart.NewWriter(&out)
	_, domain, _ := strings.Cut(from, "@")
	for _, h := range [][2]string{
		{"From", "Mailhaul <" + from + ">"},
		{"To", "<" + d.Address + ">"},
		{"Subject", mime.QEncoding.Encode("utf-8", subject(n))},
		{"Date", n.Timestamp.UTC().Format(time.RFC1123Z)},
		// The same each time that it is tried: who gets it twice can tell.
		{"Message-ID", fmt.Sprintf("<mailhaul.%d.%d.%d@%s>", d.EventID, d.ID, d.CreatedAt.UnixMicro(), domain)},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834 section 5: no out-of-office text comes back
		{"MIME-Version", "1.0"},
		{"Content-Type", `multipart/mixed; boundary="` + parts.Boundary() + `"`},
	} {
		fmt.Fprintf(&out, "%s: %s\r\n", h[0], h[1])
	}
	out.WriteString("\r\n")
	var files []Attachment
	var bodies [][]byte
	larger := ""
	for _, a := range attached {
		body := &bounded{most: maxAttached}
		switch err := a.Write(body); {
		case body.over:
			larger += fmt.Sprintf("%s is too large for a mail.\n", a.Name)
		case err != nil:
			return nil, fmt.Errorf("%s: %w", a.Name, err)
		default:
			files, bodies = append(files, a), append(bodies, body.Bytes())
		}
	}
	if err := part(parts, "text/plain; charset=utf-8", "", []byte(text(n)+larger)); err != nil {
		return nil, err
	}
	for i, a := range files {
		if err := part(parts, a.ContentType, a.Name, bodies[i]); err != nil {
			return nil, err
		}
	}
	if err := parts.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// part adds one part in base64, in lines of 76 (RFC 2045 section 6.8).
func part(parts *multipart.Writer, contentType, name string, body []byte) error {
	h := textproto.MIMEHeader{"Content-Type": {contentType}, "Content-Transfer-Encoding": {"base64"}}
	if name != "" {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
	}
	w, err := parts.CreatePart(h)
	if err != nil {
		return err
	}
	for line := range slices.Chunk(body, 57) {
		if _, err := io.WriteString(w, base64.StdEncoding.EncodeToString(line)+"\r\n"); err != nil {
			return err
		}
	}
	return nil
}

// text is what is to be read first.
func text(n migration.Notice) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (organisation %s).\n\n", strings.TrimPrefix(subject(n), "Mailhaul: "), n.Data.Org)
	for _, status := range slices.Sorted(maps.Keys(n.Data.Users)) {
		fmt.Fprintf(&b, "%8d users %s\n", n.Data.Users[status], status)
	}
	fmt.Fprintf(&b, "%8d messages copied, %d found there already, %d skipped; %d bytes\n\n", n.Data.Copied, n.Data.Adopted, n.Data.Skipped, n.Data.Bytes)
	fmt.Fprintf(&b, "What needs attention, with what to do: mailhaul report errors %s --org %s\n", n.Data.Batch, n.Data.Org)
	fmt.Fprintf(&b, "All users: mailhaul report statistics %s --org %s\n", n.Data.Batch, n.Data.Org)
	return b.String()
}

// bounded is a buffer that takes so much and no more.
type bounded struct {
	bytes.Buffer
	most int
	over bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.most {
		b.over = true
		return 0, io.ErrShortBuffer
	}
	return b.Buffer.Write(p)
}
