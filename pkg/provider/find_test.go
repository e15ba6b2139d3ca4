package provider_test

import (
	"strings"
	"testing"

	"github.com/mailhaul/mailhaul/pkg/provider"
)

func TestProvidersAreFoundByDomainAndExchanger(t *testing.T) {
	for name, want := range map[string]string{
		"gmail.com": "gmail imap.gmail.com", "GMail.com.": "gmail imap.gmail.com", "126.com": "netease imap.126.com", "gmx.com": "gmx imap.gmx.com",
		"zoho.eu": "zoho imap.zoho.eu", "aol.com": "aol imap.aol.com", "example.org": "", "notgmail.com": "", "mail.gmail.com": "",
	} {
		if got := found(provider.OfDomain(name)); got != want {
			t.Errorf("domain %s: %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"aspmx.l.google.com.":                         "gmail imap.gmail.com",
		"example-org.mail.protection.outlook.com":     "microsoft365 outlook.office365.com",
		"example.mail.protection.partner.outlook.cn":  "microsoft365-21vianet partner.outlook.cn",
		"MXBIZ1.qq.com":                               "exmail imap.exmail.qq.com",
		"163mx01.mxmail.netease.com":                  "netease imap.163.com",
		"qiye163mx01.mxmail.netease.com":              "netease-corp imap.qiye.163.com",
		"mx2.qiye.aliyun.com":                         "aliyun imap.qiye.aliyun.com",
		"mx-aol.mail.gm0.yahoodns.net":                "aol imap.aol.com",
		"mx-biz.mail.am0.yahoodns.net":                "yahoo imap.mail.yahoo.com",
		"mx2.zoho.eu":                                 "zoho imappro.zoho.eu",
		"mx.zoho.com":                                 "zoho imappro.zoho.com",
		"in1-smtp.messagingengine.com":                "fastmail imap.fastmail.com",
		"mx00.ionos.de":                               "ionos imap.1und1.de",
		"mx1.mail.ovh.net":                            "ovh ssl0.ovh.net",
		"mx.yandex.net":                               "yandex imap.yandex.com",
		"emx.mail.ru":                                 "mailru imap.mail.ru",
		"mx1.emailsrvr.com":                           "rackspace secure.emailsrvr.com",
		"smtp.secureserver.net":                       "godaddy imap.secureserver.net",
		"mx01.mail.icloud.com":                        "icloud imap.mail.me.com",
		"mx.example.org":                              "",
		"aspmx.l.google.com.example.org":              "",
		"evilgoogle.com":                              "",
		"x.mail.protection.outlook.com.attacker.test": "",
	} {
		p, pattern, ok := provider.OfExchanger(name)
		if got := found(p, ok); got != want || ok != (pattern != "") {
			t.Errorf("exchanger %s: %q by %q, want %q", name, got, pattern, want)
		}
	}
	for name, want := range map[string]string{"imap.gmail.com": "gmail", "hwimap.exmail.qq.com": "exmail", "imap.example.org": "", "": ""} {
		if p, _ := provider.OfHost(name); p.Name != want {
			t.Errorf("host %q: %q, want %q", name, p.Name, want)
		}
	}
}

func found(p provider.Preset, ok bool) string {
	if !ok {
		return ""
	}
	return strings.Join([]string{p.Name, p.Host}, " ")
}
