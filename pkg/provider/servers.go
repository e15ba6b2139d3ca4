package provider

// servers are programs that sites run: only the operator knows their host.
func servers() []Preset {
	dovecot := over("dovecot", "Dovecot (site)", "")
	dovecot.LoginTemplate = "{user}*{admin}"
	dovecot.ConnectionsPerUser = 10
	dovecot.Facts = []Fact{
		{Text: "master user login {user}*{admin}; the separator is the site's auth_master_user_separator", Source: measured + " (Dovecot 2.3.19)", Date: fieldDate},
		{Text: "10 connections a user and address by default (mail_max_userip_connections)", Source: "https://doc.dovecot.org/2.3/settings/core/#core_setting-mail_max_userip_connections", Date: fieldDate},
	}

	cyrus := over("cyrus", "Cyrus IMAP (site)", "")
	cyrus.LoginTemplate = "sasl-plain"
	cyrus.Forbidden = "!\"%/;<>\\`{|}"
	cyrus.Facts = []Fact{
		{Text: "SASL PLAIN with the user as authorization identity opens the user's own mailbox; through user.NAME the \\Seen flags would stay the administrator's", Source: measured + " (Cyrus 3.6.1)", Date: fieldDate},
		{Text: "refuses bare LF, NUL, empty messages and broken headers; at most 100 keywords a folder; makes the parents of a folder real mailboxes", Source: measured + " (Cyrus 3.6.1)", Date: fieldDate},
	}

	courier := over("courier", "Courier IMAP (site)", "")
	courier.ConnectionsPerUser, courier.ConnectionsPerIP = 4, 4
	courier.Facts = []Fact{
		{Text: "4 connections an address by default (MAXPERIP); further ones are closed without a greeting", Source: measured + " (Courier 5.0.13)", Date: fieldDate},
		{Text: "folders lie below INBOX. with . as delimiter; an administrator reaches a user's below #shared.NAME (UserRoot)", Source: measured + " (Courier 5.0.13)", Date: fieldDate},
		{Text: "ignores the authorization identity of SASL PLAIN: it opens the administrator's own mailbox", Source: measured + " (Courier 5.0.13)", Date: fieldDate},
	}

	mirapoint := over("mirapoint", "Mirapoint (site)", "")
	mirapoint.LoginTemplate = "#{user}@{domain}#{admin}#"
	mirapoint.Facts = []Fact{reported("administrator login #{user}@{domain}#{admin}#")}

	generic := over("generic", "Any IMAP server", "")
	generic.Login = ""
	generic.Facts = []Fact{{Text: "implicit TLS on port 993", Source: "RFC 8314 section 3.2", Date: "2018-01-31"}}

	return []Preset{dovecot, cyrus, courier, mirapoint, generic}
}
