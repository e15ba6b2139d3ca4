package fleet_test

import (
	"time"

	"github.com/mailhaul/mailhaul/pkg/client"
	"github.com/mailhaul/mailhaul/pkg/migration"
	"github.com/mailhaul/mailhaul/test/faultproxy"
)

// says is a server that answers a command so, whenever it comes.
func says(at, words string) []faultproxy.Fault {
	return []faultproxy.Fault{{Kind: faultproxy.Answer, At: at, Words: words}}
}

// inINBOX is says of one folder; INBOX holds two fifths of the mail.
func inINBOX(at, words string) []faultproxy.Fault {
	return []faultproxy.Fault{{Kind: faultproxy.Answer, At: at, Has: "INBOX", Words: words}}
}

// catalogueRows have the providers' own words; pkg/imapmail.TestServersWordsBecomeFaults
// has many more. Sources: RFC 5530; Dovecot 2.3, Cyrus 3.6 and Courier 5.0 as measured; the
// others as public bug reports quote them.
var catalogueRows = []catalogueRow{
	{
		name: "Gmail, wrong password", code: migration.AuthFailed, status: migration.UserNeedsCredentials,
		harm: says("LOGIN", "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)"), words: "Invalid credentials (Failure)",
	},
	{
		name: "Gmail, app password", code: migration.AuthFailed, status: migration.UserNeedsCredentials,
		harm:  says("LOGIN", "NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)"),
		words: "Application-specific password required: https://support.google.com/accounts/answer/185833",
	},
	{
		name: "Gmail, browser", code: migration.AuthFailed, status: migration.UserNeedsCredentials,
		harm:  says("LOGIN", "NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)"),
		words: "Please log in via your web browser",
	},
	{
		name: "Yahoo, wrong password", code: migration.AuthFailed, status: migration.UserNeedsCredentials,
		harm: says("LOGIN", "NO [AUTHENTICATIONFAILED] LOGIN Invalid credentials"), words: "LOGIN Invalid credentials",
	},
	{
		name: "Yandex, perhaps IMAP is off", code: migration.AuthFailed, status: migration.UserNeedsCredentials,
		harm:  says("LOGIN", "NO [AUTHENTICATIONFAILED] LOGIN invalid credentials or IMAP is disabled sc=cYXlpv732Cg1_010534_2-1e59ad28a72c"),
		words: "or IMAP is disabled",
	},
	{
		name: "Exmail, abnormal", code: migration.AuthFailed, status: migration.UserNeedsCredentials,
		harm:  says("LOGIN", "NO Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy."),
		words: "service is not open",
	},
	{
		name: "Courier at the target", code: migration.AuthFailed, status: migration.UserNeedsCredentials, side: migration.Target,
		harm: says("LOGIN", "NO Login failed."), words: "Login failed.",
		does: func(c *catalogue, r catalogueRow) {
			c.cli("user", "set-credentials", r.email(), "--batch", r.user(), "--target-password-file", file(c.t, cataloguePassword+"\n"))
		},
	},
	{
		// As it comes: to everything after the login, and then a farewell.
		name: "Microsoft 365, permission", code: migration.AuthorizationMissing,
		harm: append(says("NAMESPACE", "BAD User is authenticated but not connected."),
			says("LIST", "BAD User is authenticated but not connected.\r\n* BYE Connection closed. 14")...),
		words: "User is authenticated but not connected.",
	},
	{
		name: "Gmail, IMAP is off", code: migration.AuthorizationMissing,
		harm:  says("LOGIN", "NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your account for IMAP access. (Failure)"),
		words: "Your account is not enabled for IMAP use",
	},
	{
		name: "Zoho, IMAP is off", code: migration.AuthorizationMissing,
		harm:  says("LOGIN", "NO [ALERT] You are yet to enable IMAP for your account. Please contact your administrator (Failure)"),
		words: "You are yet to enable IMAP for your account",
	},
	{
		name: "NetEase without ID", code: migration.AuthorizationMissing,
		harm: says("SELECT", "NO EXAMINE Unsafe Login. Please contact kefu@188.com for help"), words: "Unsafe Login. Please contact kefu@188.com for help",
	},

	{
		name: "Dovecot, authentication is down", code: migration.ConnectionFailed,
		harm: says("LOGIN", "NO [UNAVAILABLE] Temporary authentication failure. [mail:2026-11-21 20:00:00]"), words: "Temporary authentication failure.",
	},
	{
		name: "Yahoo, down", code: migration.ConnectionFailed,
		harm: says("LOGIN", "NO [UNAVAILABLE] LOGIN failure. Server error - please try again later."), words: "Server error - please try again later.",
	},
	{
		name: "A server going down", code: migration.ConnectionFailed, status: migration.UserWaiting, parked: true,
		harm:  []faultproxy.Fault{{Kind: faultproxy.Bye, At: faultproxy.Greeting, Words: "Server shutting down."}},
		words: "Server shutting down.",
	},
	{
		name: "Dovecot, no TLS", code: migration.TLSFailed, status: migration.UserWaiting, parked: true,
		harm:  says("LOGIN", "NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections."),
		words: "Plaintext authentication disallowed on non-secure (SSL/TLS) connections.",
	},
	{
		name: "A port without TLS", code: migration.TLSFailed, status: migration.UserWaiting, parked: true, security: "tls",
		words: "first record does not look like a TLS handshake", does: setEndpoint("--security", "none"),
	},
	{
		name: "A certificate of its own making", code: migration.CertificateInvalid, status: migration.UserWaiting, held: true,
		tls: "127.0.0.1", valid: time.Hour, security: "tls", words: "certificate", does: pin,
	},
	{
		name: "A certificate for another name", code: migration.CertificateInvalid, status: migration.UserWaiting, held: true,
		tls: "mail.example.com", valid: time.Hour, security: "tls", words: "certificate", does: pin,
	},

	{
		name: "Microsoft 365, throttled", code: migration.Throttled, waits: 299961 * time.Millisecond,
		harm: says("FETCH", "BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds"), words: "Suggested Backoff Time: 299961 milliseconds",
	},
	{
		name: "Microsoft 365, farewell", code: migration.Throttled, waits: 8 * time.Second, alone: true,
		harm:  []faultproxy.Fault{{Kind: faultproxy.Bye, At: "LIST", Words: "Session invalidated. Suggested Backoff Time: 8000 milliseconds"}},
		words: "Session invalidated.",
	},
	{
		name: "Gmail, bandwidth", code: migration.Throttled,
		harm: says("FETCH", "NO [OVERQUOTA] Account exceeded command or bandwidth limits."), words: "Account exceeded command or bandwidth limits.",
	},
	{
		name: "Gmail, bandwidth and farewell", code: migration.Throttled, side: migration.Target,
		harm:  []faultproxy.Fault{{Kind: faultproxy.Bye, At: "LOGIN", Words: "[OVERQUOTA] Account exceeded command or bandwidth limits."}},
		words: "Account exceeded command or bandwidth limits.",
	},
	{
		name: "Gmail, connections", code: migration.Throttled,
		harm: says("LOGIN", "NO [ALERT] Too many simultaneous connections. (Failure)"), words: "Too many simultaneous connections.",
	},
	{
		name: "Gmail, slower", code: migration.Throttled,
		harm: says("SELECT", "NO [THROTTLED] Request throttled (Failure)"), words: "Request throttled (Failure)",
	},
	{
		name: "Yahoo, rate", code: migration.Throttled,
		harm: says("LOGIN", "NO [LIMIT] LOGIN Rate limit hit."), words: "LOGIN Rate limit hit.",
	},
	{
		name: "QQ, busy", code: migration.Throttled,
		harm: says("LOGIN", "NO System busy!"), words: "System busy!",
	},
	{
		name: "The day's bytes are used up", code: migration.BudgetExhausted, daily: 1, mail: 60, slow: 3, words: "bytes a day of endpoint", does: setEndpoint("--daily-bytes", "0", "--messages-per-second", "0"),
	},

	{
		name: "Dovecot, full", code: migration.QuotaExceeded, side: migration.Target,
		harm: says("APPEND", "NO [OVERQUOTA] Quota exceeded (mailbox for user is full)"), words: "Quota exceeded (mailbox for user is full)",
	},
	{
		name: "Courier, full", code: migration.QuotaExceeded, side: migration.Target,
		harm: says("APPEND", "NO [ALERT] You exceeded your mail quota."), words: "You exceeded your mail quota.",
	},
	{
		name: "Cyrus, full", code: migration.QuotaExceeded, side: migration.Target,
		harm: says("APPEND", "NO Over quota"), words: "Over quota",
	},
	{
		name: "Cyrus, nobody of that name", code: migration.TargetNotFound, side: migration.Target,
		harm: says("LIST", "OK Completed (0.000 secs)"), words: "has no mailbox",
	},

	{
		name: "Dovecot, a folder is gone", code: migration.SourceChanged, item: true,
		harm: inINBOX("SELECT", "NO [NONEXISTENT] Mailbox doesn't exist: INBOX"), words: "Mailbox doesn't exist: INBOX",
	},
	{
		name: "RFC 7889, too large", code: migration.MessageTooLarge, side: migration.Target, item: true,
		harm: inINBOX("APPEND", "NO [TOOBIG] Message is too big"), words: "Message is too big",
	},
	{
		name: "Exchange, too large", code: migration.MessageTooLarge, side: migration.Target, item: true,
		harm: inINBOX("APPEND", "NO Message size exceeds fixed maximum message size."), words: "Message size exceeds fixed maximum message size.",
	},
	{
		name: "Cyrus, refused", code: migration.MessageRejected, side: migration.Target, item: true,
		harm: inINBOX("APPEND", "NO Message contains bare newlines"), words: "Message contains bare newlines",
	},
	{
		name: "Dovecot, unreadable", code: migration.MessageUnreadable, item: true,
		harm:  []faultproxy.Fault{{Kind: faultproxy.Refuse, Holds: "Message-ID: <4.dovecot-unreadable>", Words: "NO [SERVERBUG] Internal error occurred. Refer to server log for more information."}},
		words: "Internal error occurred.",
	},
	{
		name: "More bad messages than allowed", code: migration.TooManyBadItems, status: migration.UserFailed, side: migration.Target,
		spec: func(b *client.BatchSpec) { b.BadItemLimit = new(int64) },
		harm: inINBOX("APPEND", "NO [TOOBIG] Message is too big"), words: "the batch allows 0",
		does: func(c *catalogue, r catalogueRow) {
			c.cli("batch", "set", r.user(), "--bad-item-limit", "-1")
			c.cli("user", "retry", r.email(), "--batch", r.user())
		},
	},
	{
		name: "Two folders that a rule makes one", code: migration.FolderNameCollision, status: migration.UserFailed,
		spec:  func(b *client.BatchSpec) { b.MapFolders = []client.FolderRule{{From: "Junk", To: "Sent"}} },
		words: "by the rule Junk=Sent",
		does: func(c *catalogue, r catalogueRow) {
			c.cli("batch", "set", r.user(), "--map-folder", "Junk=Spam")
			c.cli("user", "retry", r.email(), "--batch", r.user())
		},
	},
	{
		name: "A target that deletes no single message", code: migration.TargetNotPrepared, side: migration.Target,
		spec:  func(b *client.BatchSpec) { b.Deletions = migration.Mirror },
		harm:  []faultproxy.Fault{{Kind: faultproxy.Reword, At: "LOGIN", Words: "OK [CAPABILITY IMAP4rev1 NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE LITERAL+] Logged in"}},
		words: "set deletions to keep",
		does: func(c *catalogue, r catalogueRow) {
			c.cli("batch", "set", r.user(), "--deletions", "keep")
			c.cli("user", "retry", r.email(), "--batch", r.user())
		},
	},
	{
		name: "A folder that was emptied", code: migration.NeedsDecision, status: migration.UserFailed, mail: 60,
		spec:    func(b *client.BatchSpec) { b.Deletions = migration.Mirror },
		prepare: syncAndEmpty, words: "to delete them: mailhaul user confirm-deletions", does: confirm,
	},
	{
		name: "Not on the source's list", code: migration.NotInScope,
		prepare: func(c *catalogue, r catalogueRow) {
			c.cli("endpoint", "scope", "set", r.user(), "--file", file(c.t, "somebody@example.org\n"))
		},
		words: "may move by the scope of endpoint",
		does: func(c *catalogue, r catalogueRow) {
			c.cli("endpoint", "scope", "add", r.user(), r.user())
			c.cli("user", "retry", r.email(), "--batch", r.user())
		},
	},
	{
		// As after a restore of half a database.
		name: "A sealed password that cannot be opened", code: migration.Internal,
		prepare: func(c *catalogue, r catalogueRow) { c.spoil(r.email()) }, words: "unseal the password",
		does: func(c *catalogue, r catalogueRow) {
			c.cli("user", "set-credentials", r.email(), "--batch", r.user(), "--password-file", file(c.t, cataloguePassword+"\n"))
		},
	},
}
