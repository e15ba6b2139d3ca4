package provider

import (
	"path"
	"strings"
)

// own are the domains of the providers' own addresses, and the host for each where it
// is not the preset's. Source: ISPDB, ispdbDate; Fastmail's alone are reports from the
// field, unconfirmed.
var own = []struct {
	preset, host string
	domains      string
}{
	{"gmail", "", "gmail.com googlemail.com"},
	{"icloud", "", "icloud.com me.com mac.com"},
	{"yahoo", "", "yahoo.com yahoo.ca yahoo.de yahoo.it yahoo.fr yahoo.es yahoo.se yahoo.co.in yahoo.co.uk yahoo.co.nz yahoo.com.au yahoo.com.ar yahoo.com.br yahoo.com.mx ymail.com myyahoo.com rocketmail.com"},
	{"aol", "", "aol.com aim.com netscape.net netscape.com compuserve.com cs.com wmconnect.com aol.de aol.it aol.fr aol.es aol.se aol.co.uk aol.co.nz aol.com.au aol.com.ar aol.com.br aol.com.mx"},
	{"gmx", "", "gmx.net gmx.de gmx.at gmx.ch gmx.eu gmx.biz gmx.org gmx.info"},
	{"gmx", "imap.gmx.com", "gmx.com gmx.us gmx.co.uk gmx.es gmx.fr gmx.ca gmx.ie gmx.pt gmx.se gmx.it"},
	{"webde", "", "web.de"},
	{"yandex", "", "yandex.ru yandex.com yandex.net yandex.by yandex.kz yandex.ua ya.ru narod.ru"},
	{"mailru", "", "mail.ru inbox.ru list.ru bk.ru"},
	{"netease", "", "163.com"},
	{"netease", "imap.126.com", "126.com"},
	{"netease", "imap.yeah.net", "yeah.net"},
	{"zoho", "", "zoho.com zohomail.com"},
	{"zoho", "imap.zoho.eu", "zoho.eu zohomail.eu"},
	{"zoho", "imap.zoho.in", "zoho.in zohomail.in"},
	{"zoho", "imap.zoho.jp", "zoho.jp zohomail.jp"},
	{"zoho", "imap.zoho.com.au", "zoho.com.au zohomail.com.au"},
	{"fastmail", "", "fastmail.com fastmail.fm"},
}

// exchangers are patterns of mail exchangers that a preset's own do not decide: who of
// two providers with one set of machines it is, or which of a provider's hosts. Yahoo's
// and AOL's are from ISPDB, ispdbDate; Zoho's from the preset's own facts.
var exchangers = []struct{ pattern, preset, host string }{
	{"*.mail.gm0.yahoodns.net", "aol", ""},
	{"*.yahoodns.net", "yahoo", ""},
	{"mx*.zoho.com", "zoho", "imappro.zoho.com"},
	{"mx*.zoho.eu", "zoho", "imappro.zoho.eu"},
	{"mx*.zoho.in", "zoho", "imappro.zoho.in"},
	{"mx*.zoho.jp", "zoho", "imappro.zoho.jp"},
	{"mx*.zoho.com.au", "zoho", "imappro.zoho.com.au"},
}

// OfDomain finds the provider whose own addresses are of a domain, such as gmail.com.
// The preset's host is the one for these.
func OfDomain(domain string) (Preset, bool) {
	for _, o := range own {
		for d := range strings.FieldsSeq(o.domains) {
			if d == plain(domain) {
				return at(o.preset, o.host)
			}
		}
	}
	return Preset{}, false
}

// OfExchanger finds the provider that a mail exchanger belongs to, and the pattern
// that says so: the longest that fits. The preset's host is the one for it.
func OfExchanger(exchanger string) (p Preset, pattern string, found bool) {
	exchanger = plain(exchanger)
	for _, e := range exchangers {
		if fits(e.pattern, exchanger) {
			p, found = at(e.preset, e.host)
			return p, e.pattern, found
		}
	}
	for _, candidate := range List() {
		for _, x := range candidate.MX {
			if candidate.Host != "" && len(x) > len(pattern) && fits(x, exchanger) {
				p, pattern, found = candidate, x, true
			}
		}
	}
	return p, pattern, found
}

// OfHost finds the provider one of whose IMAP servers has this name.
func OfHost(host string) (Preset, bool) {
	host = plain(host)
	for _, p := range List() {
		if p.Host == host && host != "" {
			return p, true
		}
		for _, other := range p.OtherHosts {
			if other.Host == host {
				return p, true
			}
		}
	}
	return Preset{}, false
}

func at(preset, host string) (Preset, bool) {
	p, known := Lookup(preset)
	if host != "" {
		p.Host = host
	}
	return p, known
}

// fits holds a name against a pattern; no name holds a slash, so a star takes dots too.
func fits(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
