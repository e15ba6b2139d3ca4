package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

const (
	// answerWithin is what a webhook has to answer: whoever has more to do does it
	// after the answer.
	answerWithin = 20 * time.Second
	maxAnswer    = 4 << 10
)

// Webhooks calls webhooks.
type Webhooks struct {
	store  Store
	open   func(w migration.Webhook) (migration.Secret, error)
	client *http.Client
	now    func() time.Time
}

// NewWebhooks returns a Sender of webhooks; open opens their secrets.
func NewWebhooks(s Store, open func(w migration.Webhook) (migration.Secret, error), dial Dial, transport *http.Transport) *Webhooks {
	if transport == nil {
		transport = &http.Transport{}
	}
	transport.Proxy, transport.DialContext, transport.DisableKeepAlives = nil, dial, true
	transport.TLSHandshakeTimeout, transport.MaxResponseHeaderBytes = answerWithin, 32<<10
	return &Webhooks{
		store: s, open: open, now: time.Now,
		client: &http.Client{
			Transport: transport, Timeout: answerWithin,
			// A redirect is an answer like any other that is not 2xx.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Send calls the webhook of a delivery. Any 2xx is success; 410 says that nobody wants
// it any more.
func (h *Webhooks) Send(ctx context.Context, d migration.Delivery) (string, error) {
	w, err := h.store.WebhookByID(ctx, d.WebhookID)
	if err != nil {
		return "", err
	}
	secret, err := h.open(w)
	if err != nil {
		return "", fmt.Errorf("open the webhook's secret: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, strings.NewReader(d.Body))
	if err != nil {
		return "", refused{errors.New("the URL cannot be called")}
	}
	id, at := "msg_"+strconv.FormatInt(d.ID, 10), strconv.FormatInt(h.now().Unix(), 10)
	signature, err := sign(secret, id, at, d.Body)
	if err != nil {
		return "", refused{err}
	}
	header := request.Header
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "mailhaul")
	header.Set("webhook-id", id)
	header.Set("webhook-timestamp", at)
	header.Set("webhook-signature", signature)
	response, err := h.client.Do(request)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // without the URL, which may hold a secret of the customer's
		}
		return "", errors.New(secret.Redact(err.Error()))
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, maxAnswer)
	answer := "HTTP " + strconv.Itoa(response.StatusCode)
	switch {
	case response.StatusCode/100 == 2:
		return answer, nil
	case response.StatusCode == http.StatusGone:
		return "", refused{errors.New(answer)}
	}
	return "", errors.New(answer)
}

// sign makes the signature of one call.
func sign(secret migration.Secret, id, at, body string) (string, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret.Reveal(), migration.WebhookSecretPrefix))
	if err != nil {
		return "", errors.New("the webhook's secret is not one of ours")
	}
	mac := hmac.New(sha256.New, key)
	_, _ = mac.Write([]byte(id + "." + at + "." + body))
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)), nil
}
