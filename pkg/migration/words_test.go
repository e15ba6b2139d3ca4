package migration

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSecretsDoNotPrint(t *testing.T) {
	s := NewSecret("hunter2")
	b, err := json.Marshal(map[string]any{"secret": s, "pointer": &s})
	if err != nil {
		t.Fatal(err)
	}
	out := fmt.Sprint(s) + fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s) + string(b) + fmt.Sprintf("%+v", struct{ S Secret }{s})
	if strings.Contains(out, "hunter2") || strings.Contains(out, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("it prints: %s", out)
	}
	if s.Reveal() != "hunter2" || s.Empty() || !NewSecret("").Empty() {
		t.Error("Reveal or Empty is wrong")
	}
}

func TestClean(t *testing.T) {
	tests := map[string]string{
		"NO  [X]\r\n\tfull\x00\x1b[31m": "NO [X] full[31m",
		"caf\xe9 \u202emoc.elgoog":      "caf? moc.elgoog",
		strings.Repeat("ä", 400):        strings.Repeat("ä", 248) + "...",
	}
	for in, want := range tests {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%.30q): got %q, want %q", in, got, want)
		}
	}
}

func TestFaults(t *testing.T) {
	cause := errors.New("cut")
	f := NewFault(ConnectionFailed, ScopeEndpoint, Target, "append to \"x\"\r\n", cause)
	if got := f.Error(); got != `ConnectionFailed (target): append to "x": cut` {
		t.Errorf("it reads %q", got)
	}
	wrapped := fmt.Errorf("sync: %w", f)
	if AsFault(wrapped) != f || !errors.Is(wrapped, cause) {
		t.Error("the fault or its cause is lost in the chain")
	}
	if got := AsFault(errors.New("plain")); got.Code != Internal || got.Scope != ScopeUser {
		t.Errorf("a plain error is %+v", got)
	}
	if AsFault(nil) != nil {
		t.Error("no error is a fault")
	}
	for code := range catalogue {
		if !code.Known() || code.Class() == "" || !strings.HasSuffix(code.Remedy(), ".") {
			t.Errorf("%s lacks its class or its remedy", code)
		}
	}
}

func TestParkAfter(t *testing.T) {
	fault := &Fault{Code: ConnectionFailed, Scope: ScopeEndpoint, Reason: "refused"}
	var p Park
	var waits []time.Duration
	for range 7 {
		p = ParkAfter(p, fault, noon)
		waits = append(waits, p.Until.Sub(noon))
	}
	if got := fmt.Sprint(waits); got != "[10s 20s 40s 1m20s 2m40s 5m0s 5m0s]" {
		t.Errorf("probes after %s", got)
	}
	if !ParkAfter(Park{}, &Fault{Code: AuthFailed, Scope: ScopeEndpoint}, noon).Held {
		t.Error("a rejected administrator is tried again")
	}
}

func TestRoles(t *testing.T) {
	order := []Role{Owner, Admin, Operator, Viewer}
	for i, a := range order {
		for j, b := range order {
			if a.Includes(b) != (i <= j) {
				t.Errorf("%s includes %s: %v", a, b, a.Includes(b))
			}
		}
	}
	if Role("root").Includes(Viewer) || Role("").Valid() {
		t.Error("an unknown role may do something")
	}
}

func TestAdminLogin(t *testing.T) {
	tests := []struct{ template, name, user, authz string }{
		{"{user}*{admin}", "anna@example.org", "anna@example.org*root", ""},
		{"{domain}/{admin}/{user}", "anna@example.org", "example.org/root/anna", ""},
		{"#{user}@{domain}#{admin}#", "anna@example.org", "#anna@example.org#root#", ""},
		{SASLPlain, "anna@example.org", "root", "anna@example.org"},
	}
	for _, tt := range tests {
		got := EndpointSpec{LoginTemplate: tt.template, AdminUser: "root"}.AdminLogin(tt.name)
		if got.User != tt.user || got.AuthorizationID != tt.authz || !got.Admin {
			t.Errorf("%s: %+v, want %s and %s", tt.template, got, tt.user, tt.authz)
		}
	}
}
