package provider

func consumer() []Preset {
	return []Preset{
		yahoo("yahoo", "Yahoo Mail", "imap.mail.yahoo.com"),
		yahoo("aol", "AOL Mail", "imap.aol.com"),
		icloud(), zoho(), fastmail(), gmx(), webde(), yandex(), mailru(),
	}
}

func yahoo(name, title, host string) Preset {
	p := over(name, title, host)
	p.Password = "app password"
	p.VisiblePerBox = 10_000
	p.MX = []string{"*.yahoodns.net"}
	p.Facts = []Fact{
		address(host),
		{Text: "OAuth by OAUTHBEARER, for applications that Yahoo has approved; an app password otherwise", Source: "https://senders.yahooinc.com/developer/documentation", Date: fieldDate},
		{Text: "one command may concern 1,000 messages (MESSAGELIMIT=1000 in CAPABILITY)", Source: "https://senders.yahooinc.com/developer/documentation", Date: fieldDate},
		reported("at most 10,000 messages of a folder show over IMAP: the older ones have to be moved to other folders first"),
		reported("throttling is answered with [LIMIT] or [UNAVAILABLE]"),
	}
	return p
}

func icloud() Preset {
	p := over("icloud", "iCloud Mail", "imap.mail.me.com")
	p.Password, p.Login = "app password", "local part of the address"
	p.Missing = []string{"LIST-EXTENDED", "LITERAL+"}
	p.MX = []string{"*.mail.icloud.com"}
	p.Facts = []Fact{
		address("imap.mail.me.com"),
		{Text: "the login is the local part alone", Source: "https://support.postbox-inc.com/hc/en-us/articles/202200110 and ISPDB", Date: fieldDate},
		reported("neither LIST-EXTENDED nor LITERAL+"),
	}
	return p
}

func zoho() Preset {
	p := over("zoho", "Zoho Mail", "imap.zoho.com")
	p.Password = "app password"
	p.OtherHosts = []OtherHost{
		{"imap.zoho.eu", "accounts in the EU data centre"},
		{"imap.zoho.in", "accounts in the Indian data centre"},
		{"imap.zoho.jp", "accounts in the Japanese data centre"},
		{"imap.zoho.com.au", "accounts in the Australian data centre"},
		{"imappro.zoho.com", "organisations with a domain of their own (also .eu, .in, .jp, .com.au)"},
	}
	p.MX = []string{"mx*.zoho.com", "mx*.zoho.eu", "mx*.zoho.in", "mx*.zoho.jp", "mx*.zoho.com.au"}
	p.Facts = []Fact{
		address("imap.zoho.com, imap.zoho.eu, imap.zoho.in, imap.zoho.jp, imap.zoho.com.au"),
		{Text: "IMAP is off until the user switches it on; organisations with a domain use imappro.zoho.com", Source: "https://support.bolddesk.com/kb/article/15603", Date: fieldDate},
		{Text: "with two-factor authentication an application-specific password is needed", Source: "https://help.zoho.com/portal/en/kb/solo/communication/settings/articles/how-to-generate-app-specific-password", Date: fieldDate},
	}
	return p
}

func fastmail() Preset {
	p := over("fastmail", "Fastmail", "imap.fastmail.com")
	p.Password = "app password"
	p.MX = []string{"*.messagingengine.com"}
	p.Facts = []Fact{reported("imap.fastmail.com port 993, implicit TLS; app passwords only")}
	return p
}

func gmx() Preset {
	p := over("gmx", "GMX", "imap.gmx.net")
	p.Password = "password; app password with two-factor authentication"
	p.MX = []string{"mx*.emig.gmx.net", "mx*.gmx.net"}
	p.Facts = []Fact{address("imap.gmx.net"), reported("IMAP has to be switched on in the web mail")}
	return p
}

func webde() Preset {
	p := over("webde", "WEB.DE", "imap.web.de")
	p.Password, p.Login = "password; app password with two-factor authentication", "local part of the address"
	p.MX = []string{"mx-ha*.web.de", "mx*.web.de"}
	p.Facts = []Fact{
		address("imap.web.de"),
		{Text: "the login is the local part", Source: ispdb, Date: ispdbDate},
		reported("IMAP has to be switched on in the web mail"),
	}
	return p
}

func yandex() Preset {
	p := over("yandex", "Yandex Mail", "imap.yandex.com")
	p.Password = "app password"
	p.MX = []string{"mx.yandex.net", "mx.yandex.ru"}
	p.Facts = []Fact{address("imap.yandex.com"), reported("IMAP has to be switched on, and an app password made")}
	return p
}

func mailru() Preset {
	p := over("mailru", "Mail.ru", "imap.mail.ru")
	p.Password = "app password"
	p.MX = []string{"mxs.mail.ru", "emx.mail.ru"}
	p.Facts = []Fact{address("imap.mail.ru"), reported("app passwords only")}
	return p
}
