package provider

import "github.com/mailhaul/mailhaul/pkg/migration"

const (
	mb = 1 << 20

	microsoftOAuth = "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth"
)

func microsoft() []Preset {
	return []Preset{
		exchangeOnline("microsoft365", "Microsoft 365 (worldwide)", "outlook.office365.com", "login.microsoftonline.com",
			[]string{"*.mail.protection.outlook.com", "*.mx.microsoft"},
			address("outlook.office365.com"),
			Fact{Text: "client-credentials tokens: scope https://outlook.office365.com/.default, application permission IMAP.AccessAsApp, a service principal with rights on each mailbox", Source: microsoftOAuth, Date: fieldDate}),
		exchangeOnline("microsoft365-21vianet", "Microsoft 365 operated by 21Vianet", "partner.outlook.cn", "login.partner.microsoftonline.cn",
			[]string{"*.mail.protection.partner.outlook.cn"},
			reported("partner.outlook.cn port 993, tokens from login.partner.microsoftonline.cn")),
		{
			Name: "exchange", Title: "Exchange Server (site)",
			Port: 993, Security: migration.TLS, Auth: "password", Password: "password", Login: "full address or DOMAIN\\user",
			LoginTemplate: "{domain}/{admin}/{user}", ConnectionsPerUser: 16, AppendLimit: 10 * mb,
			FoldsCase: true, Forbidden: "/",
			Facts: []Fact{
				reported("administrator login {domain}/{admin}/{user}; also seen: {domain}\\{admin}\\{user}"),
				reported("16 connections a user (MaxConnectionsPerUser)"),
				reported("messages of at most 10 MB by default (Exchange 2007 and later)"),
				reported("public folders, Outbox, Sync Issues and Conversation History show as folders; they are left out by default"),
			},
		},
	}
}

func exchangeOnline(name, title, host, authority string, mx []string, facts ...Fact) Preset {
	return Preset{
		Name: name, Title: title, Host: host,
		Port: 993, Security: migration.TLS, Auth: "xoauth2", Login: "full address (user principal name)",
		OAuth: &OAuth{
			TokenURL:   "https://" + authority + "/{tenant}/oauth2/v2.0/token",
			Scope:      "https://" + host + "/.default",
			Permission: "IMAP.AccessAsApp",
		},
		ConnectionsPerUser: 16, AppendLimit: 35 * mb, MaxLine: 10_000,
		FoldsCase: true, Forbidden: "/", MX: mx,
		Facts: append(facts,
			reported(`asks for time with "Suggested Backoff Time: N milliseconds", also together with BYE`),
			reported("messages of 35 MB by default, up to 150 MB where the administrator raised it"),
			reported("folder names that differ in case are one folder; no / in a name"),
			reported(`"User is authenticated but not connected" means that the application may not open this mailbox: the permission is missing`),
			reported("a message with a line over about 10,000 bytes is refused"),
		),
	}
}
