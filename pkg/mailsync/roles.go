package mailsync

import (
	"strings"

	"github.com/mailhaul/mailhaul/pkg/mailbox"
)

// knownNames are the names by which a folder without a SPECIAL-USE attribute is
// taken for a role, best first, in the languages of the providers in package
// provider. Compared without regard to case, at the top level only.
//
// Sources: Thunderbird, Outlook and Roundcube default folder names; the folder lists
// of gmx.net, web.de, yandex.com, mail.ru, qq.com and 163.com.
var knownNames = map[mailbox.Role][]string{
	mailbox.RoleSent: {
		"Sent", "Sent Items", "Sent Messages", "Sent Mail", "Gesendet", "Gesendete Elemente", "Gesendete Objekte",
		"Éléments envoyés", "Envoyés", "Messages envoyés", "Elementos enviados", "Enviados", "Posta inviata", "Inviati",
		"Verzonden items", "Verzonden", "Отправленные", "已发送", "已发送邮件", "送信済みアイテム", "送信済み",
	},
	mailbox.RoleDrafts: {
		"Drafts", "Draft", "Entwürfe", "Brouillons", "Borradores", "Bozze", "Concepten", "Rascunhos", "Черновики", "草稿箱", "草稿", "下書き",
	},
	mailbox.RoleJunk: {
		"Junk", "Junk E-mail", "Junk Email", "Spam", "Bulk Mail", "Bulk", "Junk-E-Mail", "Spamverdacht", "Courrier indésirable", "Indésirables",
		"Correo no deseado", "Posta indesiderata", "Ongewenste e-mail", "Спам", "垃圾邮件", "垃圾箱", "迷惑メール",
	},
	mailbox.RoleTrash: {
		"Trash", "Deleted Items", "Deleted Messages", "Deleted", "Bin", "Papierkorb", "Gelöscht", "Gelöschte Elemente", "Gelöschte Objekte",
		"Corbeille", "Éléments supprimés", "Papelera", "Elementos eliminados", "Cestino", "Posta eliminata", "Prullenbak", "Verwijderde items",
		"Lixeira", "Корзина", "Удаленные", "已删除", "已删除邮件", "削除済みアイテム", "ゴミ箱",
	},
	mailbox.RoleArchive: {
		"Archive", "Archives", "Archiv", "Archivo", "Archivio", "Archief", "Архив", "存档", "アーカイブ",
	},
}

// roleFolders returns the one folder of each role: the one with the attribute, else
// the first of the known names. The others with such names keep their names: many
// mailboxes have both Sent and Sent Items.
func roleFolders(folders []mailbox.Folder) map[mailbox.Role]string {
	out := map[mailbox.Role]string{}
	for _, f := range folders {
		if _, taken := out[f.Role]; f.Selectable && f.Role != "" && !taken {
			out[f.Role] = f.Name
		}
	}
	for role, names := range knownNames {
		if _, ok := out[role]; ok {
			continue
		}
		for _, name := range names {
			for _, f := range folders {
				if _, found := out[role]; !found && f.Selectable && f.Role == "" && len(f.Path) == 1 && strings.EqualFold(f.Path[0], name) {
					out[role] = f.Name
				}
			}
		}
	}
	return out
}
