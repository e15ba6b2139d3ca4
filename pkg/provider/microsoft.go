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
			FoldsCase: true, Forbidden: "/", LeftOut: exchangeLeftOut, PublicFolders: exchangePublicFolders,
			Facts: []Fact{
				reported("administrator login {domain}/{admin}/{user}; also seen: {domain}\\{admin}\\{user}"),
				reported("16 connections a user (MaxConnectionsPerUser)"),
				reported("messages of at most 10 MB by default (Exchange 2007 and later)"),
				reported("public folders, Outbox, Sync Issues and Conversation History (with Teams' chats) show as folders; they are left out by default"),
				reported("their names are those of the language in which the mailbox was first opened"),
			},
		},
	}
}

// What Exchange shows over IMAP that is no mail of the user's: what waits to be sent,
// the client's own errors, and chats, in the languages of Outlook. A name that is not
// here is carried, which costs less than mail that is not.
var (
	exchangeLeftOut = []string{
		"Outbox", "Postausgang", "Boîte d'envoi", "Boîte d’envoi", "Bandeja de salida", "Posta in uscita", "Postvak UIT", "Caixa de Saída", "Исходящие", "发件箱", "送信トレイ",
		"Sync Issues", "Synchronisierungsprobleme", "Problèmes de synchronisation", "Problemas de sincronización", "Problemi di sincronizzazione", //nolint:misspell // Spanish and Portuguese
		"Synchronisatieproblemen", "Problemas de Sincronização", "Ошибки синхронизации", "同步问题", "同期の失敗", //nolint:misspell // Spanish and Portuguese
		"Conversation History", "Aufgezeichnete Unterhaltungen", "Unterhaltungsverlauf", "Historique des conversations", "Historial de conversaciones",
		"Cronologia conversazioni", "Gespreksgeschiedenis", "Histórico de Conversa", "Журнал бесед", "对话历史记录", "会話の履歴",
	}
	exchangePublicFolders = []string{
		"Public Folders", "Öffentliche Ordner", "Dossiers publics", "Carpetas públicas", "Cartelle pubbliche", "Openbare mappen", "Pastas Públicas",
		"Общие папки", "公用文件夹", "パブリック フォルダー",
	}
)

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
