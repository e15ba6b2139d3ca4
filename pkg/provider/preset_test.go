package provider_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/pkg/provider"
)

// The presets that are promised, with their host ("" for a site's own).
var promised = map[string]string{
	"microsoft365": "outlook.office365.com", "microsoft365-21vianet": "partner.outlook.cn", "exchange": "",
	"gmail": "imap.gmail.com", "exmail": "imap.exmail.qq.com", "netease": "imap.163.com", "netease-corp": "imap.qiye.163.com",
	"yahoo": "imap.mail.yahoo.com", "aol": "imap.aol.com", "icloud": "imap.mail.me.com", "zoho": "imap.zoho.com",
	"fastmail": "imap.fastmail.com", "gmx": "imap.gmx.net", "webde": "imap.web.de", "ionos": "imap.1und1.de", "ovh": "ssl0.ovh.net",
	"yandex": "imap.yandex.com", "mailru": "imap.mail.ru", "rackspace": "secure.emailsrvr.com", "godaddy": "imap.secureserver.net",
	"aliyun": "imap.qiye.aliyun.com", "dovecot": "", "cyrus": "", "courier": "", "mirapoint": "", "generic": "",
}

func TestEveryPromisedPresetIsThere(t *testing.T) {
	for name, host := range promised {
		p, found := provider.Lookup(name)
		switch {
		case !found:
			t.Errorf("no preset %s", name)
		case p.Host != host || p.Port != 993 || p.Security != migration.TLS:
			t.Errorf("%s is at %s:%d (%s)", name, p.Host, p.Port, p.Security)
		}
	}
	if n := len(provider.List()); n != len(promised) {
		t.Errorf("%d presets, %d promised", n, len(promised))
	}
	if _, found := provider.Lookup("Gmail"); found {
		t.Error("names are exact")
	}
}

func TestPromisedQuirks(t *testing.T) {
	get := func(name string) provider.Preset {
		p, _ := provider.Lookup(name)
		return p
	}
	for what, holds := range map[string]bool{
		"microsoft365 tokens":     get("microsoft365").Auth == "xoauth2" && get("microsoft365").OAuth.TokenURL == "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token" && get("microsoft365").OAuth.Scope == "https://outlook.office365.com/.default",
		"21vianet tokens":         strings.Contains(get("microsoft365-21vianet").OAuth.TokenURL, "login.partner.microsoftonline.cn"),
		"exchange administrators": get("exchange").LoginTemplate == "{domain}/{admin}/{user}" && get("exchange").ConnectionsPerUser == 16,
		"gmail's limits":          get("gmail").AppendLimit == 35_651_584 && get("gmail").ConnectionsPerUser == 15 && get("gmail").DailyUpload == 500_000_000,
		"netease wants ID":        get("netease").NeedsID && get("netease-corp").NeedsID,
		"exmail overseas":         get("exmail").OtherHosts[0].Host == "hwimap.exmail.qq.com",
		"yahoo's window":          get("yahoo").VisiblePerBox == 10_000 && get("aol").VisiblePerBox == 10_000,
		"icloud's gaps":           slices.Contains(get("icloud").Missing, "LITERAL+"),
		"dovecot's master":        get("dovecot").LoginTemplate == "{user}*{admin}" && get("dovecot").ConnectionsPerUser == 10,
		"cyrus by authzid":        get("cyrus").LoginTemplate == "sasl-plain",
		"courier's four":          get("courier").ConnectionsPerIP == 4 && get("courier").LoginTemplate == "",
		"mirapoint's form":        get("mirapoint").LoginTemplate == "#{user}@{domain}#{admin}#",
	} {
		if !holds {
			t.Errorf("%s: not as promised", what)
		}
	}
}

func TestEveryPresetIsWellFormed(t *testing.T) {
	hostname := regexp.MustCompile(`^[a-z0-9.-]+\.[a-z]+$`)
	for _, p := range provider.List() {
		if p.Title == "" || len(p.Facts) == 0 || p.ConnectionsPerUser <= 0 || p.Auth != "password" && p.Auth != "xoauth2" {
			t.Errorf("%s is incomplete: %+v", p.Name, p)
		}
		if (p.Auth == "xoauth2") != (p.OAuth != nil) {
			t.Errorf("%s: auth %s, but OAuth is %v", p.Name, p.Auth, p.OAuth)
		}
		for _, h := range append([]provider.OtherHost{{Host: p.Host, For: "all"}}, p.OtherHosts...) {
			if h.Host != "" && !hostname.MatchString(h.Host) || h.For == "" {
				t.Errorf("%s: host %+v", p.Name, h)
			}
		}
		for _, f := range p.Facts {
			if _, err := time.Parse(time.DateOnly, f.Date); err != nil || f.Text == "" || f.Source == "" {
				t.Errorf("%s: a fact without source or date: %+v", p.Name, f)
			}
		}
		if p.OAuth != nil {
			if u, err := url.Parse(strings.ReplaceAll(p.OAuth.TokenURL, "{tenant}", "x")); err != nil || u.Scheme != "https" {
				t.Errorf("%s: token URL %s", p.Name, p.OAuth.TokenURL)
			}
		}
		if _, err := json.Marshal(p); err != nil {
			t.Errorf("%s: %v", p.Name, err)
		}
	}
}

func TestApply(t *testing.T) {
	for name, tc := range map[string]struct {
		preset    string
		set, want migration.EndpointSpec
	}{
		"all from the preset": {
			"exmail",
			migration.EndpointSpec{},
			migration.EndpointSpec{Host: "imap.exmail.qq.com", Port: 993, Security: migration.TLS, Auth: "password"},
		},
		"the operator wins": {
			"gmail",
			migration.EndpointSpec{Host: "proxy.example.com", Port: 1993, Auth: "password"},
			migration.EndpointSpec{Host: "proxy.example.com", Port: 1993, Security: migration.TLS, Auth: "password"},
		},
		"the port follows the security": {
			"dovecot",
			migration.EndpointSpec{Host: "mail.example.com", Security: migration.StartTLS},
			migration.EndpointSpec{Host: "mail.example.com", Port: 143, Security: migration.StartTLS, Auth: "password"},
		},
		"an administrator's form for an administrator": {
			"dovecot",
			migration.EndpointSpec{Host: "mail.example.com", AdminUser: "admin"},
			migration.EndpointSpec{Host: "mail.example.com", Port: 993, Security: migration.TLS, Auth: "password", AdminUser: "admin", LoginTemplate: "{user}*{admin}"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := provider.Lookup(tc.preset)
			if got := p.Apply(tc.set); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got  %+v\nwant %+v", got, tc.want)
			}
		})
	}
}
