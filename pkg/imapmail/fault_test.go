package imapmail

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

func TestServersWordsBecomeFaults(t *testing.T) {
	for _, x := range []struct {
		server string
		op     operation
		says   string
		code   migration.Code
		scope  migration.Scope
		retry  time.Duration
	}{
		{"Dovecot", opLogin, "x NO [AUTHENTICATIONFAILED] Authentication failed.", migration.AuthFailed, migration.ScopeUser, 0},
		{"Dovecot, auth is down", opLogin, "x NO [UNAVAILABLE] Temporary authentication failure. [host:2023]", migration.ConnectionFailed, migration.ScopeUser, 0},
		{"Dovecot, connections", opLogin, "x NO [LIMIT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)", migration.Throttled, migration.ScopeUser, 0},
		{"Cyrus", opLogin, "x NO Login failed: authentication failure", migration.AuthFailed, migration.ScopeUser, 0},
		{"Cyrus, may not act for the user", opLogin, "x NO authentication failure", migration.AuthFailed, migration.ScopeUser, 0},
		{"Courier", opLogin, "x NO Login failed.", migration.AuthFailed, migration.ScopeUser, 0},
		{"Gmail", opLogin, "x NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)", migration.AuthFailed, migration.ScopeUser, 0},
		{"Gmail, app password", opLogin, "x NO [ALERT] Application-specific password required: https://support.google.com/accounts/answer/185833 (Failure)", migration.AuthFailed, migration.ScopeUser, 0},
		{"Gmail, browser", opLogin, "x NO [ALERT] Please log in via your web browser: https://support.google.com/mail/accounts/answer/78754 (Failure)", migration.AuthFailed, migration.ScopeUser, 0},
		{"Gmail, IMAP is off", opLogin, "x NO [ALERT] Your account is not enabled for IMAP use. Please visit your Gmail settings page and enable your account for IMAP access. (Failure)", migration.AuthorizationMissing, migration.ScopeUser, 0},
		{"Zoho, IMAP is off", opLogin, "x NO [ALERT] You are yet to enable IMAP for your account. Please contact your administrator (Failure)", migration.AuthorizationMissing, migration.ScopeUser, 0},
		{"Ipswitch, IMAP is off", opLogin, "x NO Full IMAP support is not enabled for this account. Please contact your domain administrator and try again.", migration.AuthorizationMissing, migration.ScopeUser, 0},
		{"Yandex, perhaps IMAP is off", opLogin, "x NO [AUTHENTICATIONFAILED] LOGIN invalid credentials or IMAP is disabled sc=cYXlpv732Cg1_010534", migration.AuthFailed, migration.ScopeUser, 0},
		{"Mail.ru, app password", opLogin, "x NO [AUTHENTICATIONFAILED] NEOBHODIM parol prilozheniya https://help.mail.ru/mail/security/protection/external / Application password is REQUIRED", migration.AuthFailed, migration.ScopeUser, 0},
		{"Exmail", opLogin, "x NO Login fail. Account is abnormal, service is not open, password is incorrect, login frequency limited, or system is busy.", migration.AuthFailed, migration.ScopeUser, 0},
		{"QQ, busy", opLogin, "x NO System busy!", migration.Throttled, migration.ScopeUser, 0},
		{"QQ, busy", opAppend, "x NO System busy!", migration.Throttled, migration.ScopeUser, 0},
		{"NetEase, connections", opSelect, "x NO Too many concurrent connections", migration.Throttled, migration.ScopeUser, 0},
		{"Exchange", opLogin, "x NO LOGIN failed.", migration.AuthFailed, migration.ScopeUser, 0},
		{"Exchange, down", opLogin, "x NO Server Unavailable. 15", migration.ConnectionFailed, migration.ScopeUser, 0},
		{"Gmail, connections", opLogin, "x NO [ALERT] Too many simultaneous connections. (Failure)", migration.Throttled, migration.ScopeUser, 0},
		{"Gmail, bandwidth", opFetch, "x NO [OVERQUOTA] Account exceeded command or bandwidth limits.", migration.Throttled, migration.ScopeUser, 0},
		{"Gmail, throttled", opSelect, "x NO [THROTTLED] slow down", migration.Throttled, migration.ScopeUser, 0},
		{"Yahoo", opLogin, "x NO [AUTHENTICATIONFAILED] LOGIN Invalid credentials", migration.AuthFailed, migration.ScopeUser, 0},
		{"Yahoo, down", opLogin, "x NO [UNAVAILABLE] LOGIN failure. Server error - please try again later.", migration.ConnectionFailed, migration.ScopeUser, 0},
		{"Yahoo, rate", opLogin, "x NO [LIMIT] LOGIN Rate limit hit.", migration.Throttled, migration.ScopeUser, 0},
		{"Yahoo, unavailable", opSelect, "x NO [UNAVAILABLE] SELECT Server error", migration.ConnectionFailed, migration.ScopeFolder, 0},
		{"Microsoft 365, backoff", opFetch, "x BAD Request is throttled. Suggested Backoff Time: 12345 milliseconds", migration.Throttled, migration.ScopeUser, 12345 * time.Millisecond},
		{"Microsoft 365, permission", opSelect, "x BAD User is authenticated but not connected.", migration.AuthorizationMissing, migration.ScopeUser, 0},
		{"RFC 5530, expired", opLogin, "x NO [EXPIRED] That password isn't valid any more", migration.AuthFailed, migration.ScopeUser, 0},
		{"RFC 5530, authorization", opLogin, "x NO [AUTHORIZATIONFAILED] No such authorization-ID", migration.AuthorizationMissing, migration.ScopeUser, 0},
		{"RFC 5530, privacy", opLogin, "x NO [PRIVACYREQUIRED] Connection offers no privacy", migration.TLSFailed, migration.ScopeEndpoint, 0},
		{"RFC 5530, in use", opAppend, "x NO [INUSE] Mailbox in use", migration.Throttled, migration.ScopeFolder, 0},
		{"RFC 5530, in use by another", opLogin, "x NO [INUSE] Mailbox in use", migration.Throttled, migration.ScopeUser, 0},
		{"Gmail, bandwidth without words", opFetch, "x NO [OVERQUOTA] no", migration.Throttled, migration.ScopeUser, 0},
		{"NetEase", opSelect, "x NO SELECT Unsafe Login. Please contact kefu@188.com for help", migration.AuthorizationMissing, migration.ScopeUser, 0},

		{"Dovecot, list", opList, "x NO [SERVERBUG] Internal error occurred.", migration.ConnectionFailed, migration.ScopeUser, 0},
		{"any, list", opList, "x NO cannot list now", migration.ConnectionFailed, migration.ScopeUser, 0},
		{"Dovecot, open", opSelect, "x NO [SERVERBUG] Internal error occurred.", migration.ConnectionFailed, migration.ScopeFolder, 0},
		{"Dovecot, store", opStore, "x NO [SERVERBUG] Internal error occurred.", migration.MessageRejected, migration.ScopeFolder, 0},
		{"Dovecot, append", opAppend, "x NO [SERVERBUG] Internal error occurred.", migration.MessageRejected, migration.ScopeMessage, 0},
		{"Dovecot", opSelect, "x NO [NONEXISTENT] Mailbox doesn't exist: a", migration.SourceChanged, migration.ScopeFolder, 0},
		{"Courier", opSelect, "x NO Unable to open this mailbox.", migration.SourceChanged, migration.ScopeFolder, 0},
		{"Dovecot, acl", opSelect, "x NO [NOPERM] Permission denied", migration.AuthorizationMissing, migration.ScopeFolder, 0},
		{"Cyrus, create", opCreate, "x NO Permission denied", migration.AuthorizationMissing, migration.ScopeFolder, 0},
		{"Dovecot, create", opCreate, "x NO [CANNOT] Character not allowed in mailbox name: '.'", migration.MessageRejected, migration.ScopeFolder, 0},

		{"Dovecot, quota", opAppend, "x NO [OVERQUOTA] Quota exceeded (mailbox for user is full)", migration.QuotaExceeded, migration.ScopeUser, 0},
		{"Cyrus, quota", opAppend, "x NO Over quota", migration.QuotaExceeded, migration.ScopeUser, 0},
		{"Cyrus, no such folder", opAppend, "x NO Mailbox does not exist", migration.SourceChanged, migration.ScopeFolder, 0},
		{"Courier, no such folder", opAppend, "x NO Invalid mailbox name.", migration.SourceChanged, migration.ScopeFolder, 0},
		{"Courier, quota", opAppend, "x NO [ALERT] You exceeded your mail quota.", migration.QuotaExceeded, migration.ScopeUser, 0},
		{"Cyrus, folder", opAppend, "x NO [TRYCREATE] Mailbox does not exist", migration.SourceChanged, migration.ScopeFolder, 0},
		{"Courier, read-only", opAppend, "x NO Current box is selected READ-ONLY", migration.AuthorizationMissing, migration.ScopeFolder, 0},
		{"RFC 7889", opAppend, "x NO [TOOBIG] Message is too big", migration.MessageTooLarge, migration.ScopeMessage, 0},
		{"Exchange", opAppend, "x NO Message size exceeds fixed maximum message size.", migration.MessageTooLarge, migration.ScopeMessage, 0},
		{"Cyrus, message", opAppend, "x NO Message contains bare newlines", migration.MessageRejected, migration.ScopeMessage, 0},
		{"Dovecot, keyword", opAppend, "x NO [CANNOT] Keyword length too long", migration.MessageRejected, migration.ScopeMessage, 0},
		{"Dovecot, limit", opAppend, "x NO [LIMIT] too many", migration.MessageRejected, migration.ScopeMessage, 0},
		{"Dovecot, fetch", opFetch, "x NO [SERVERBUG] Internal error occurred.", migration.MessageUnreadable, migration.ScopeMessage, 0},
		{"Cyrus, keywords", opStore, "x NO Too many user flags in mailbox", migration.MessageRejected, migration.ScopeFolder, 0},
	} {
		t.Run(x.server+": "+x.says, func(t *testing.T) {
			s, ok := parseStatus([]byte(x.says + "\r\n"))
			if !ok {
				t.Fatalf("no status: %q", x.says)
			}
			f := refusal(x.op, s, migration.Target, "try")
			if f.Code != x.code || f.Scope != x.scope || f.RetryAfter != x.retry || f.Side != migration.Target {
				t.Errorf("got %+v, want %s of scope %s after %s", f, x.code, x.scope, x.retry)
			}
		})
	}
}

func TestFarewellIsTheReason(t *testing.T) {
	bye, _ := parseStatus([]byte("* BYE Session invalidated. Suggested Backoff Time: 4000 milliseconds\r\n"))
	var f *migration.Fault
	err := lost(io.EOF, bye, migration.Source, "read")
	if !errors.As(err, &f) || f.Code != migration.Throttled || f.RetryAfter != 4*time.Second {
		t.Errorf("got %v", err)
	}
	bye, _ = parseStatus([]byte("* BYE [OVERQUOTA] Account exceeded command or bandwidth limits.\r\n")) // Gmail
	err = lost(io.EOF, bye, migration.Source, "read")
	if !errors.As(err, &f) || f.Code != migration.Throttled || f.Scope != migration.ScopeUser {
		t.Errorf("got %v", err)
	}
	bye, _ = parseStatus([]byte("* BYE Connection closed. 14\r\n")) // Microsoft 365
	err = lost(io.EOF, bye, migration.Source, "read")
	if !errors.As(err, &f) || f.Code != migration.ConnectionFailed {
		t.Errorf("got %v", err)
	}
	bye, _ = parseStatus([]byte("* BYE shutting down\r\n"))
	err = lost(io.EOF, bye, migration.Source, "read")
	if !errors.As(err, &f) || f.Code != migration.ConnectionFailed || f.Scope != migration.ScopeEndpoint {
		t.Errorf("got %v", err)
	}
}
