package provider

func hosters() []Preset {
	ionos := over("ionos", "IONOS (1&1)", "imap.1und1.de")
	ionos.OtherHosts = []OtherHost{{"imap.ionos.de", "the newer name of the same"}, {"imap.ionos.com", "contracts outside Germany"}}
	ionos.MX = []string{"mx*.kundenserver.de", "mx*.ionos.de", "mx*.ionos.com"}
	ionos.Facts = []Fact{address("imap.1und1.de"), reported("imap.ionos.de and imap.ionos.com are newer names")}

	ovh := over("ovh", "OVHcloud MX Plan", "ssl0.ovh.net")
	ovh.MX = []string{"mx*.mail.ovh.net", "mx*.ovh.net"}
	ovh.Facts = []Fact{address("ssl0.ovh.net")}

	rackspace := over("rackspace", "Rackspace Email", "secure.emailsrvr.com")
	rackspace.MX = []string{"mx*.emailsrvr.com"}
	rackspace.Facts = []Fact{address("secure.emailsrvr.com")}

	godaddy := over("godaddy", "GoDaddy Workspace Email", "imap.secureserver.net")
	godaddy.MX = []string{"*.secureserver.net"}
	godaddy.Facts = []Fact{
		reported("imap.secureserver.net port 993, implicit TLS"),
		reported("mailboxes of GoDaddy's Microsoft 365 plans are microsoft365, not this"),
	}
	return []Preset{ionos, ovh, rackspace, godaddy}
}
