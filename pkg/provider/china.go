package provider

func china() []Preset {
	return []Preset{exmail(), netease(), neteaseCorp(), aliyun()}
}

func exmail() Preset {
	const source = "http://www.schwkj.cn/qqbizmail/aa10478 (a Tencent Exmail reseller's copy of the help page)"
	p := over("exmail", "Tencent Exmail", "imap.exmail.qq.com")
	p.OtherHosts = []OtherHost{{"hwimap.exmail.qq.com", "clients outside mainland China"}}
	p.Password = "password; a client password where secure login is on"
	p.MX = []string{"mxbiz1.qq.com", "mxbiz2.qq.com"}
	p.Facts = []Fact{
		{Text: "imap.exmail.qq.com port 993 with TLS; overseas hwimap.exmail.qq.com", Source: source, Date: fieldDate},
		{Text: "the login is the full address; with secure login on, the client password is asked for", Source: source, Date: fieldDate},
		reported("user folders lie below one root folder in the trees of the QQ family"),
		{Text: "a command that it does not know makes it close the connection", Source: "https://www.dytttf.com/2021/11/12 (seen at QQ mail)", Date: "2021-11-12", Unconfirmed: true},
	}
	return p
}

// neteaseID is why NeedsID exists.
func neteaseID() Fact {
	return Fact{
		Text:   `SELECT is answered "NO Unsafe Login" unless the client has named itself with ID after login (RFC 2971 section 3.3 forbids that, but so it is)`,
		Source: "https://note.lispstudio.com/dacaf276000eb6a58da4f0ecc45cd0e2 and many alike", Date: fieldDate,
	}
}

func netease() Preset {
	p := over("netease", "NetEase Mail (163, 126, yeah)", "imap.163.com")
	p.OtherHosts = []OtherHost{{"imap.126.com", "addresses at 126.com"}, {"imap.yeah.net", "addresses at yeah.net"}}
	p.Password = "authorisation code, made in the web mail's settings"
	p.NeedsID = true
	p.MX = []string{"*.mail.163.com", "*.netease.com"}
	p.Facts = []Fact{address("imap.163.com, imap.126.com, imap.yeah.net"), neteaseID()}
	return p
}

func neteaseCorp() Preset {
	p := over("netease-corp", "NetEase corporate mail", "imap.qiye.163.com")
	p.Password = "authorisation code, or password where the administrator allows it"
	p.NeedsID = true
	p.MX = []string{"*.qiye163.com", "qiye163mx*.mxmail.netease.com"}
	p.Facts = []Fact{
		{Text: "imap.qiye.163.com", Source: "https://note.lispstudio.com/dacaf276000eb6a58da4f0ecc45cd0e2", Date: fieldDate},
		neteaseID(),
	}
	return p
}

func aliyun() Preset {
	p := over("aliyun", "Alibaba Mail (qiye.aliyun.com)", "imap.qiye.aliyun.com")
	p.Password = "password, or client password where secure login is on"
	p.MX = []string{"mx*.qiye.aliyun.com", "mx*.mxhichina.com"}
	p.Facts = []Fact{reported("imap.qiye.aliyun.com port 993, implicit TLS, the login is the full address")}
	return p
}
