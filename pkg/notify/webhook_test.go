package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/netguard"
)

// TestSignature is the specification's own example.
func TestSignature(t *testing.T) {
	got, err := sign(migration.NewSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", `{"test": 2432232314}`)
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

// only is a store of one webhook.
type only struct {
	Store
	hook migration.Webhook
}

func (o only) WebhookByID(context.Context, int64) (migration.Webhook, error) { return o.hook, nil }

func hook(url string, d Dial, transport *http.Transport) *Webhooks {
	key := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	open := func(migration.Webhook) (migration.Secret, error) {
		return migration.NewSecret(migration.WebhookSecretPrefix + key), nil
	}
	return NewWebhooks(only{hook: migration.Webhook{ID: 1, URL: url}}, open, d, transport)
}

func TestAWebhookIsCalledSigned(t *testing.T) {
	d := delivery(t)
	status, redirected := http.StatusNoContent, false
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		redirected = redirected || r.URL.Path != "/hook"
		body, _ := io.ReadAll(r.Body)
		h := r.Header
		mac := hmac.New(sha256.New, []byte("0123456789abcdef0123456789abcdef"))
		_, _ = io.WriteString(mac, h.Get("webhook-id")+"."+h.Get("webhook-timestamp")+"."+string(body))
		if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); h.Get("webhook-signature") != want || string(body) != d.Body || h.Get("webhook-id") != "msg_3" {
			t.Errorf("called with %v and %s", h, body)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(status)
	}))
	defer s.Close()
	trust := s.Client().Transport.(*http.Transport).TLSClientConfig
	h := hook(s.URL+"/hook?key=theirs", dial, &http.Transport{TLSClientConfig: trust})
	if answer, err := h.Send(t.Context(), d); answer != "HTTP 204" || err != nil {
		t.Errorf("got %q, %v", answer, err)
	}
	for code, final := range map[int]bool{500: false, 404: false, 302: false, 410: true} {
		status = code
		if _, err := h.Send(t.Context(), d); err == nil || errors.As(err, new(refused)) != final {
			t.Errorf("%d: got %v, final %v", code, err, final)
		}
	}
	if redirected {
		t.Error("a redirect was followed")
	}
	_, err := hook(s.URL+"/hook?key=theirs", netguard.Policy{}.DialContext, nil).Send(t.Context(), d)
	if err == nil || !strings.Contains(err.Error(), netguard.Setting) || strings.Contains(err.Error(), "theirs") {
		t.Errorf("a loopback address: %v", err)
	}
}
