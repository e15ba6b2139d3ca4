package client

import "time"

// Page is one page of a list; NextCursor is "" on the last.
type Page[T any] struct {
	Items      []T    `json:"items" nullable:"false" doc:"the page"`
	NextCursor string `json:"nextCursor" doc:"cursor of the next page; empty on the last"`
}

// Org is an organisation.
type Org struct {
	Name      string    `json:"name" doc:"its name"`
	CreatedAt time.Time `json:"createdAt" doc:"when it was made"`
}

// Usage is what an organisation has moved since the beginning. It outlives batches.
type Usage struct {
	Moved
	Months []MonthUsage `json:"months" nullable:"false" doc:"by month (UTC); months without anything are left out"`
}

// Moved is an amount of mail.
type Moved struct {
	Mailboxes int64 `json:"mailboxes" doc:"mailboxes that had a first sync, each once however often it comes again"`
	Messages  int64 `json:"messages" doc:"messages copied"`
	Bytes     int64 `json:"bytes" doc:"bytes of those"`
}

// MonthUsage is the usage of one month.
type MonthUsage struct {
	Month string `json:"month" doc:"such as 2026-05"`
	Moved
}

// NewOrg asks for an organisation.
type NewOrg struct {
	Name string `json:"name" doc:"1 to 64 letters, digits, -, _ and ."`
}

// Token is a token without its value.
type Token struct {
	ID        string     `json:"id" doc:"what it is called in the audit log and when it is revoked"`
	Role      string     `json:"role" doc:"owner, admin, operator or viewer"`
	CreatedAt time.Time  `json:"createdAt" doc:"when it was made"`
	ExpiresAt *time.Time `json:"expiresAt" doc:"when it ends; null: never"`
	RevokedAt *time.Time `json:"revokedAt" doc:"when it was revoked; null: it was not"`
	Email     string     `json:"email" doc:"whose it is: reports of the batches made with it go there; empty: nobody"`
}

// NewWebhook asks for a webhook.
type NewWebhook struct {
	URL string `json:"url" maxLength:"2000" doc:"what is called: https, or http to this machine"`
}

// Webhook is an address that is called with events.
type Webhook struct {
	ID           int64     `json:"id" doc:"what it is called in paths"`
	URL          string    `json:"url" doc:"what is called"`
	CreatedAt    time.Time `json:"createdAt" doc:"when it was made"`
	LastDelivery *Delivery `json:"lastDelivery,omitempty" doc:"what was tried last; absent: nothing yet"`
}

// CreatedWebhook is a webhook with its secret, which is told this once.
type CreatedWebhook struct {
	Webhook
	Secret string `json:"secret" doc:"whsec_ and the key in base64, with which calls are signed; it is not told again"`
}

// Delivery is one event on its way to a webhook.
type Delivery struct {
	ID            string     `json:"id" doc:"the webhook-id of its calls, the same for each attempt"`
	Event         string     `json:"event" doc:"such as batch.synced"`
	Status        string     `json:"status" doc:"pending, delivered, or failed: given up"`
	Attempts      int        `json:"attempts" doc:"calls until now"`
	Answer        string     `json:"answer" doc:"what came of the latest"`
	CreatedAt     time.Time  `json:"createdAt" doc:"when it was put on its way"`
	LastAttemptAt *time.Time `json:"lastAttemptAt" doc:"when it was called last; null: not yet"`
	NextAttemptAt *time.Time `json:"nextAttemptAt" doc:"when it is called next; null: not any more"`
}

// Mail is one report on its way to a mail address.
type Mail struct {
	To            string     `json:"to" doc:"the address"`
	Event         string     `json:"event" doc:"what it tells of: batch.synced or batch.completed"`
	Status        string     `json:"status" doc:"pending, delivered, or failed: given up"`
	Attempts      int        `json:"attempts" doc:"until now"`
	Answer        string     `json:"answer" doc:"what the mail server said to the latest"`
	CreatedAt     time.Time  `json:"createdAt" doc:"when it was put on its way"`
	LastAttemptAt *time.Time `json:"lastAttemptAt" doc:"when it was tried last; null: not yet"`
	NextAttemptAt *time.Time `json:"nextAttemptAt" doc:"when it is tried next; null: not any more"`
}

// NewToken asks for a token.
type NewToken struct {
	Role    string `json:"role" doc:"owner, admin, operator or viewer"`
	Expires string `json:"expires,omitempty" doc:"how long it lives, such as 720h; absent: for ever"`
	Email   string `json:"email,omitempty" doc:"whose it is: reports of the batches made with it go there"`
}

// CreatedToken is a token with its value, which is told this once.
type CreatedToken struct {
	Token
	Value   string `json:"token" doc:"the token itself; it is not told again"`
	Warning string `json:"warning,omitempty" doc:"what the operator should know, such as that the bootstrap token has ended"`
}

// EndpointSpec is what is set of an endpoint.
type EndpointSpec struct {
	Preset                        string `json:"preset,omitempty" doc:"provider preset, as in mailhaul provider list"`
	Host                          string `json:"host,omitempty" doc:"host name or address"`
	Port                          int    `json:"port,omitempty" doc:"993, or 143 without tls"`
	Security                      string `json:"security,omitempty" doc:"tls, starttls or none"`
	TLSPin                        string `json:"tlsPin,omitempty" doc:"accept the certificate with this key and no other, whoever signed it: SHA-256 of its SubjectPublicKeyInfo, in hex or base64; a refused certificate's reason names it"`
	TLSInsecure                   bool   `json:"tlsInsecure,omitempty" doc:"accept every certificate: whoever stands between can read the passwords"`
	Auth                          string `json:"auth,omitempty" doc:"password"`
	LoginTemplate                 string `json:"loginTemplate,omitempty" doc:"how the administrator logs in for a user: {user}, {domain}, {admin}; or sasl-plain"`
	AdminUser                     string `json:"adminUser,omitempty" doc:"the administrator's login name"`
	TestMailbox                   string `json:"testMailbox,omitempty" doc:"whom the administrator opens in the test"`
	MaxConcurrentMigrations       int    `json:"maxConcurrentMigrations,omitempty" doc:"passes at once over the whole fleet (20)"`
	MaxConcurrentIncrementalSyncs int    `json:"maxConcurrentIncrementalSyncs,omitempty" doc:"of those, resyncs (10)"`
	ConnectionsPerMailbox         int    `json:"connectionsPerMailbox,omitempty" doc:"connections at once for one mailbox, 1 to 16 (1); the smaller one of source and target counts"`
	Compress                      bool   `json:"compress,omitempty" doc:"compress connections (RFC 4978) where the server can do it: for slow lines"`
	Hours                         string `json:"hours,omitempty" doc:"when it may be used, such as Mon-Fri 20:00-06:00, Sat-Sun 00:00-24:00 Europe/Berlin; empty: always"`
	DailyBytes                    int64  `json:"dailyBytes,omitempty" doc:"bytes of messages a day (UTC); 0: no limit"`
	DailyBytesPerMailbox          int64  `json:"dailyBytesPerMailbox,omitempty" doc:"bytes of messages a day (UTC) for each mailbox; 0: what the preset knows, -1: no limit"`
	BytesPerSecond                int64  `json:"bytesPerSecond,omitempty" doc:"over the whole fleet; 0: no limit"`
	MessagesPerSecond             int64  `json:"messagesPerSecond,omitempty" doc:"over the whole fleet; 0: no limit"`

	Namespaces []string `json:"namespaces,omitempty" nullable:"true" doc:"whose folders belong to a mailbox beside its own: others (other users' that it may see), shared (public ones); absent: none"`
}

// NewEndpoint asks for an endpoint.
type NewEndpoint struct {
	Name string `json:"name" doc:"1 to 64 letters, digits, -, _ and ."`
	EndpointSpec
	AdminPassword string `json:"adminPassword,omitempty" writeOnly:"true" doc:"the administrator's password"`
}

// EndpointChange changes what is not nil.
type EndpointChange struct {
	Preset                        *string `json:"preset,omitempty" doc:"provider preset, as in mailhaul provider list"`
	Host                          *string `json:"host,omitempty" doc:"host name or address"`
	Port                          *int    `json:"port,omitempty" doc:"1 to 65535"`
	Security                      *string `json:"security,omitempty" doc:"tls, starttls or none"`
	TLSPin                        *string `json:"tlsPin,omitempty" doc:"accept the certificate with this key and no other; empty: none"`
	TLSInsecure                   *bool   `json:"tlsInsecure,omitempty" doc:"accept every certificate: whoever stands between can read the passwords"`
	Auth                          *string `json:"auth,omitempty" doc:"password"`
	LoginTemplate                 *string `json:"loginTemplate,omitempty" doc:"how the administrator logs in for a user: {user}, {domain}, {admin}; or sasl-plain"`
	AdminUser                     *string `json:"adminUser,omitempty" doc:"the administrator's login name"`
	AdminPassword                 *string `json:"adminPassword,omitempty" writeOnly:"true" doc:"the administrator's password"`
	TestMailbox                   *string `json:"testMailbox,omitempty" doc:"whom the administrator opens in the test"`
	MaxConcurrentMigrations       *int    `json:"maxConcurrentMigrations,omitempty" doc:"passes at once over the whole fleet"`
	MaxConcurrentIncrementalSyncs *int    `json:"maxConcurrentIncrementalSyncs,omitempty" doc:"of those, resyncs"`
	ConnectionsPerMailbox         *int    `json:"connectionsPerMailbox,omitempty" doc:"connections at once for one mailbox, 1 to 16; the smaller one of source and target counts"`
	Compress                      *bool   `json:"compress,omitempty" doc:"compress connections (RFC 4978) where the server can do it: for slow lines"`
	Hours                         *string `json:"hours,omitempty" doc:"when it may be used, such as Mon-Fri 20:00-06:00, Sat-Sun 00:00-24:00 Europe/Berlin; empty: always"`
	DailyBytes                    *int64  `json:"dailyBytes,omitempty" doc:"bytes of messages a day (UTC); 0: no limit"`
	DailyBytesPerMailbox          *int64  `json:"dailyBytesPerMailbox,omitempty" doc:"bytes of messages a day (UTC) for each mailbox; 0: what the preset knows, -1: no limit"`
	BytesPerSecond                *int64  `json:"bytesPerSecond,omitempty" doc:"over the whole fleet; 0: no limit"`
	MessagesPerSecond             *int64  `json:"messagesPerSecond,omitempty" doc:"over the whole fleet; 0: no limit"`

	Namespaces *[]string `json:"namespaces,omitempty" doc:"others, shared, in place of those before"`
}

// Endpoint is an endpoint; secrets are never told.
type Endpoint struct {
	Name                          string    `json:"name" doc:"its name"`
	Preset                        string    `json:"preset" doc:"provider preset; empty: none"`
	Host                          string    `json:"host" doc:"host name or address"`
	Port                          int       `json:"port" doc:"port"`
	Security                      string    `json:"security" doc:"tls, starttls or none"`
	TLSPin                        string    `json:"tlsPin" doc:"SHA-256 in hex of the key of the one certificate that is accepted; empty: an authority's word is asked for"`
	TLSInsecure                   bool      `json:"tlsInsecure" doc:"every certificate is accepted"`
	Auth                          string    `json:"auth" doc:"password"`
	LoginTemplate                 string    `json:"loginTemplate" doc:"how the administrator logs in for a user; empty: each user logs in"`
	AdminUser                     string    `json:"adminUser" doc:"the administrator's login name"`
	AdminPasswordSet              bool      `json:"adminPasswordSet" doc:"whether there is a password of the administrator"`
	TestMailbox                   string    `json:"testMailbox" doc:"whom the administrator opens in the test"`
	MaxConcurrentMigrations       int       `json:"maxConcurrentMigrations" doc:"passes at once over the whole fleet"`
	MaxConcurrentIncrementalSyncs int       `json:"maxConcurrentIncrementalSyncs" doc:"of those, resyncs"`
	ConnectionsPerMailbox         int       `json:"connectionsPerMailbox" doc:"connections at once for one mailbox; the smaller one of source and target counts"`
	Compress                      bool      `json:"compress" doc:"connections are compressed where the server can do it"`
	Hours                         string    `json:"hours" doc:"when it may be used; empty: always"`
	DailyBytes                    int64     `json:"dailyBytes" doc:"bytes of messages a day (UTC); 0: no limit"`
	DailyBytesPerMailbox          int64     `json:"dailyBytesPerMailbox" doc:"bytes of messages a day (UTC) for each mailbox; 0: what the preset knows, -1: no limit"`
	BytesPerSecond                int64     `json:"bytesPerSecond" doc:"over the whole fleet; 0: no limit"`
	MessagesPerSecond             int64     `json:"messagesPerSecond" doc:"over the whole fleet; 0: no limit"`
	BytesToday                    int64     `json:"bytesToday" doc:"bytes of messages copied from and to it since midnight (UTC)"`
	WorkingLimit                  int       `json:"workingLimit" doc:"passes at once for now: fewer than maxConcurrentMigrations after it asked for time"`
	Resting                       *Resting  `json:"resting,omitempty" doc:"set outside its hours, and when the bytes of the day are used up"`
	CreatedAt                     time.Time `json:"createdAt" doc:"when it was made"`
	Parked                        *Parked   `json:"parked,omitempty" doc:"set while the endpoint rests after a fault of its own"`

	Namespaces []string `json:"namespaces" nullable:"false" doc:"whose folders belong to a mailbox beside its own: others, shared"`

	Scope *ScopeSize `json:"scope,omitempty" doc:"how many mailboxes may move; absent: every mailbox"`
}

// ScopeSize tells of an endpoint's scope.
type ScopeSize struct {
	Mailboxes int `json:"mailboxes" doc:"how many it names"`
}

// Scope is the mailboxes that may move.
type Scope struct {
	Mailboxes []string `json:"mailboxes" nullable:"false" doc:"logins, as the CSV file has them, without regard to case; one below a root folder is login, blank, root: root@example.com /shared/ann. At most 10,000; empty names are passed over"`
}

// ScopeChange adds to a scope and takes from it.
type ScopeChange struct {
	Add    []string `json:"add,omitempty" nullable:"true" doc:"mailboxes that may move too"`
	Remove []string `json:"remove,omitempty" nullable:"true" doc:"mailboxes that may no longer move; one that the scope does not name is refused"`
}

// Resting is an endpoint that nobody works at, by its own settings.
type Resting struct {
	Until  time.Time `json:"until" doc:"when it goes on by itself"`
	Code   string    `json:"code" doc:"BudgetExhausted; empty outside its hours"`
	Reason string    `json:"reason" doc:"which of its limits it is"`
}

// Parked is an endpoint after a fault of its own.
type Parked struct {
	Until  *time.Time `json:"until" doc:"when it is tried again; null where it is held"`
	Held   bool       `json:"held" doc:"until the endpoint is changed"`
	Code   string     `json:"code" doc:"what the fault was"`
	Reason string     `json:"reason" doc:"what was tried, and the server's words"`
	Remedy string     `json:"remedy" doc:"what to do"`
}

// EndpointTest is what an endpoint's test logs in with.
type EndpointTest struct {
	User     string `json:"user,omitempty" doc:"whose mailbox is opened; absent: the test mailbox, or no login"`
	Password string `json:"password,omitempty" writeOnly:"true" doc:"the user's password; absent: the administrator logs in"`
}

// TestResult is how far an endpoint's test came.
type TestResult struct {
	OK     bool    `json:"ok" doc:"whether all stages passed"`
	Stages []Stage `json:"stages" nullable:"false" doc:"the stages, up to the first that failed"`
}

// DiscoveryQuestion asks where the mailbox of an address is.
type DiscoveryQuestion struct {
	Address  string `json:"address" maxLength:"320" doc:"of one mailbox"`
	User     string `json:"user,omitempty" doc:"login name to be tried; absent: the address, or its local part where that is what the server wants"`
	Password string `json:"password,omitempty" writeOnly:"true" doc:"the user's password; absent: no login is tried"`
	Resolver string `json:"resolver,omitempty" doc:"server of DNS to be asked, as IP or IP:PORT; absent: the service's own"`
}

// Discovery is the mail server of an address, and how it was found.
type Discovery struct {
	Found    bool            `json:"found" doc:"whether there is a server that passed the test through CAPABILITY"`
	Host     string          `json:"host" doc:"host name"`
	Port     int             `json:"port" doc:"port"`
	Security string          `json:"security" doc:"tls or starttls"`
	Preset   string          `json:"preset" doc:"provider preset; empty: none"`
	Auth     string          `json:"auth" doc:"how users log in: password, or xoauth2 where no password works"`
	Login    string          `json:"login" doc:"what users log in with: full address, local part, other; empty: nobody said"`
	UserName string          `json:"userName" doc:"the login name of this address"`
	From     string          `json:"from" doc:"the question whose answer named the server"`
	Unproven bool            `json:"unproven" doc:"DNS alone, which can be forged, names this host, and it is outside the address's domain: look at it before a password is sent there"`
	Note     string          `json:"note" doc:"why a password that was given was not tried"`
	Stages   []Stage         `json:"stages" nullable:"false" doc:"of the server's test"`
	Steps    []DiscoveryStep `json:"steps" nullable:"false" doc:"what was asked, in its order"`
	Command  string          `json:"command" doc:"how an endpoint is made of it"`
}

// DiscoveryStep is one question of a discovery.
type DiscoveryStep struct {
	Asked string `json:"asked" doc:"such as SRV _imaps._tcp.example.com, or an address on the web"`
	Said  string `json:"said" doc:"what came back"`
	Test  string `json:"test" doc:"what became of the test of the server that it names; empty: it names none"`
}

// Stage is one step of a test.
type Stage struct {
	Name         string  `json:"name" doc:"such as DNS, TCP, TLS, greeting, login"`
	OK           bool    `json:"ok" doc:"whether it passed"`
	Detail       string  `json:"detail" doc:"what was found"`
	Code         string  `json:"code" doc:"what went wrong; empty: nothing"`
	Remedy       string  `json:"remedy" doc:"what to do"`
	Milliseconds float64 `json:"milliseconds" doc:"how long it took"`
}

// FolderRule says where source folders go.
type FolderRule struct {
	From string `json:"from" doc:"a path such as Old Stuff, all below one such as Projects/*, or a token such as #Sent# in place of its first part; case is not regarded"`
	To   string `json:"to" doc:"the path at the target, likewise; with a star where from has one"`
}

// BatchSpec is what is set of a batch.
type BatchSpec struct {
	Name                string       `json:"name,omitempty" doc:"absent: the CSV file's"`
	Type                string       `json:"type,omitempty" doc:"imap; files of staged and crossTenant batches can be checked (dryRun), the batches not be run yet"`
	SourceEndpoint      string       `json:"sourceEndpoint,omitempty" doc:"name of the endpoint to read"`
	TargetEndpoint      string       `json:"targetEndpoint,omitempty" doc:"name of the endpoint to write"`
	AutoStart           bool         `json:"autoStart,omitempty" doc:"start at once"`
	StartAt             *time.Time   `json:"startAt,omitempty" doc:"start at this time"`
	ExcludeFolders      []string     `json:"excludeFolders,omitempty" nullable:"true" doc:"folders to leave out: names, globs, or tokens such as #Junk#"`
	IncludeFolders      []string     `json:"includeFolders,omitempty" nullable:"true" doc:"only these folders"`
	MapFolders          []FolderRule `json:"mapFolders,omitempty" nullable:"true" doc:"where source folders go; the first rule that matches counts, the others keep their names"`
	Since               string       `json:"since,omitempty" doc:"only messages received (INTERNALDATE) from this day or time on: 2024-01-31 (from its beginning, UTC) or 2024-01-31T22:00:00Z"`
	Before              string       `json:"before,omitempty" doc:"only messages received before this day or time"`
	MaxMessageSize      int64        `json:"maxMessageSize,omitempty" doc:"in bytes: larger messages are skipped, and listed; 0 is the target's own limit"`
	BadItemLimit        *int64       `json:"badItemLimit,omitempty" doc:"how many messages of one user may be skipped: at the next one its sync ends and it is Failed (TooManyBadItems); absent: any number"`
	Deletions           string       `json:"deletions,omitempty" doc:"keep: nothing is ever deleted at the target; mirror: copies of messages that are deleted at the source are deleted"`
	ResyncInterval      string       `json:"resyncInterval,omitempty" doc:"between two syncs of a user, such as 24h"`
	Notify              []string     `json:"notify,omitempty" nullable:"true" doc:"mail addresses for the reports: when the batch is in step, and when it is completed"`
	NewestFirst         bool         `json:"newestFirst,omitempty" doc:"copy a folder's newest messages first"`
	Encoding            string       `json:"encoding,omitempty" doc:"of the CSV file, where it is not UTF-8"`
	AllowUnknownColumns bool         `json:"allowUnknownColumns,omitempty" doc:"pass over columns of the file that are not known"`
}

// BatchChange changes what is not nil.
type BatchChange struct {
	ExcludeFolders *[]string     `json:"excludeFolders,omitempty" doc:"folders to leave out, in place of those before"`
	IncludeFolders *[]string     `json:"includeFolders,omitempty" doc:"only these folders"`
	MapFolders     *[]FolderRule `json:"mapFolders,omitempty" doc:"where source folders go, in place of the rules before; folders that were begun stay where they are"`
	Since          *string       `json:"since,omitempty" doc:"only messages received from this day or time on; empty: from the first on. What a change lets in is copied by the next sync"`
	Before         *string       `json:"before,omitempty" doc:"only messages received before this day or time; empty: to the last"`
	MaxMessageSize *int64        `json:"maxMessageSize,omitempty" doc:"in bytes: larger messages are skipped, and listed; 0 is the target's own limit"`
	BadItemLimit   *int64        `json:"badItemLimit,omitempty" doc:"how many messages of one user may be skipped; -1: any number"`
	Deletions      *string       `json:"deletions,omitempty" doc:"keep or mirror; mirror asks for a confirmation where mailboxes have been synced"`
	ResyncInterval *string       `json:"resyncInterval,omitempty" doc:"between two syncs of a user, such as 24h"`
	Notify         *[]string     `json:"notify,omitempty" doc:"mail addresses for the reports: when the batch is in step, and when it is completed"`
	NewestFirst    *bool         `json:"newestFirst,omitempty" doc:"copy a folder's newest messages first; passes that run go on as they began"`
}

// Batch is a batch.
type Batch struct {
	Name           string         `json:"name" doc:"its name"`
	Type           string         `json:"type" doc:"imap"`
	SourceEndpoint string         `json:"sourceEndpoint" doc:"the endpoint that is read"`
	TargetEndpoint string         `json:"targetEndpoint" doc:"the endpoint that is written"`
	AutoStart      bool           `json:"autoStart" doc:"whether it was started at once"`
	StartAt        *time.Time     `json:"startAt" doc:"when it starts by itself"`
	CompleteAt     *time.Time     `json:"completeAt" doc:"when it completes by itself"`
	ExcludeFolders []string       `json:"excludeFolders" nullable:"false" doc:"folders that are left out"`
	IncludeFolders []string       `json:"includeFolders" nullable:"false" doc:"the only folders that are synced; empty: all"`
	MapFolders     []FolderRule   `json:"mapFolders" nullable:"false" doc:"where source folders go, beyond those that keep their names"`
	Since          *time.Time     `json:"since" doc:"only messages received from then on are synced"`
	Before         *time.Time     `json:"before" doc:"only messages received before then are synced"`
	MaxMessageSize int64          `json:"maxMessageSize" doc:"in bytes: larger messages are skipped, and listed; 0 is the target's own limit"`
	BadItemLimit   *int64         `json:"badItemLimit" doc:"how many messages of one user may be skipped; null: any number"`
	Deletions      string         `json:"deletions" doc:"keep: nothing is ever deleted at the target; mirror: copies of messages that are deleted at the source are deleted"`
	ResyncInterval string         `json:"resyncInterval" doc:"between two syncs of a user"`
	Notify         []string       `json:"notify" nullable:"false" doc:"mail addresses for the reports: when the batch is in step, and when it is completed"`
	NewestFirst    bool           `json:"newestFirst" doc:"whether a folder's newest messages are copied first"`
	Status         string         `json:"status" doc:"Created, Syncing, Synced, SyncedWithErrors, Stopping, Stopped, Completing, Completed, CompletedWithErrors, Failed or Removing"`
	Counts         map[string]int `json:"counts" doc:"total, and users by status"`
	Messages       Messages       `json:"messages" doc:"sums over its users"`
	Bytes          Bytes          `json:"bytes" doc:"sums over its users"`
	CreatedAt      time.Time      `json:"createdAt" doc:"when it was made"`
	StartedAt      *time.Time     `json:"startedAt" doc:"when it was first started"`
	LastSyncedAt   *time.Time     `json:"lastSyncedAt" doc:"the latest end of a sync of one of its users"`
	BytesPerSecond *int64         `json:"bytesPerSecond" doc:"as measured between the last looks at the batch"`
	ETASeconds     *int64         `json:"etaSeconds" doc:"at this rate; null where it cannot be told"`
}

// Messages counts messages: seen is the sum of unchanged, copied, adopted, skipped
// and failed.
type Messages struct {
	Seen          int64 `json:"seen" doc:"in the source folders that were looked at"`
	Unchanged     int64 `json:"unchanged" doc:"in step without Mailhaul having brought it"`
	Copied        int64 `json:"copied" doc:"brought by all passes"`
	Adopted       int64 `json:"adopted" doc:"found at the target already, and not copied, by all passes"`
	Skipped       int64 `json:"skipped" doc:"cannot be copied, as the latest pass left it; see the items"`
	Failed        int64 `json:"failed" doc:"not copied for now, as the latest pass left it; tried again"`
	Redelivered   int64 `json:"redelivered" doc:"of copied: delivered before, to a target folder that is void now"`
	Surplus       int64 `json:"surplus" doc:"further copies found at the target, and left alone"`
	MovedAtSource int64 `json:"movedAtSource" doc:"moved from one source folder to another"`
	Deleted       int64 `json:"deleted" doc:"copies deleted at the target because their messages are gone at the source, by all passes"`
	KeptAtTarget  int64 `json:"keptAtTarget" doc:"copies of such messages that stay because the target's user changed them"`
}

// Bytes counts bytes.
type Bytes struct {
	Copied int64 `json:"copied" doc:"delivered"`
	Total  int64 `json:"total" doc:"at the source, as far as it is known"`
}

// DryRun is what a dry run answers.
type DryRun struct {
	DryRun    bool   `json:"dryRun" doc:"true"`
	Name      string `json:"name" doc:"the batch's name"`
	Mailboxes int    `json:"mailboxes" doc:"how many mailboxes there are to migrate"`
	// Warnings are no reason to reject the file.
	Warnings []string `json:"warnings" nullable:"false" doc:"what is well to know of the file"`
}

// Added is what became of the rows of a file.
type Added struct {
	Created   int `json:"created" doc:"new users"`
	Unchanged int `json:"unchanged" doc:"users whose row says nothing new"`
	Updated   int `json:"updated" doc:"users with new names or passwords"`
}

// Completion says when a batch completes.
type Completion struct {
	At *time.Time `json:"at,omitempty" doc:"when; absent: now"`
}

// User is one mailbox pair.
type User struct {
	EmailAddress   string     `json:"emailAddress" doc:"address of the target mailbox"`
	UserName       string     `json:"userName" doc:"login name at the source"`
	TargetUserName string     `json:"targetUserName" doc:"login name at the target; empty: the address"`
	Status         string     `json:"status" doc:"Created, Validating, Queued, Syncing, Synced, IncrementalSyncing, Waiting, NeedsCredentials, Failed, Stopped, Completing, Completed, CompletedWithWarnings or Removing"`
	Code           string     `json:"code" doc:"what is wrong; empty: nothing"`
	Reason         string     `json:"reason" doc:"what was tried, and the server's words"`
	Remedy         string     `json:"remedy" doc:"what to do"`
	Messages       Messages   `json:"messages" doc:"over all its passes"`
	Bytes          Bytes      `json:"bytes" doc:"over all its passes"`
	Folders        Folders    `json:"folders" doc:"of the latest pass"`
	LastSyncedAt   *time.Time `json:"lastSyncedAt" doc:"when it was last in step"`
	NextSyncAt     *time.Time `json:"nextSyncAt" doc:"when it is due; null: under way, or not at all"`
	Attempts       int        `json:"attempts" doc:"faults since the last progress"`
	ResumesAt      *time.Time `json:"resumesAt" doc:"when it goes on by itself, where it waits; null: at its turn, or once somebody has changed an endpoint (see why)"`
	DeletionsAsked int64      `json:"deletionsAsked" doc:"how many copies would be deleted at the target, where its latest sync asks for a confirmation"`
}

// Folders counts folders of the latest pass.
type Folders struct {
	Done  int64 `json:"done" doc:"in step"`
	Total int64 `json:"total" doc:"to be synced"`
}

// Reversal names the batch that a batch is reversed by.
type Reversal struct {
	Name string `json:"name,omitempty" maxLength:"64" doc:"name of the new batch; absent: the reversed one's with -back"`
}

// Move names the batch that a user is moved to.
type Move struct {
	To string `json:"to" maxLength:"64" doc:"name of a batch between the same endpoints"`
}

// Credentials replace what a user logs in with; absent fields leave it as it is.
type Credentials struct {
	UserName       string `json:"userName,omitempty" doc:"login name at the source"`
	Password       string `json:"password,omitempty" writeOnly:"true" doc:"password at the source"`
	TargetUserName string `json:"targetUserName,omitempty" doc:"login name at the target"`
	TargetPassword string `json:"targetPassword,omitempty" writeOnly:"true" doc:"password at the target"`
}

// Item is a message that was skipped or failed; uid 0 is a folder.
type Item struct {
	EmailAddress string     `json:"emailAddress" doc:"the user"`
	Folder       string     `json:"folder" doc:"the source folder"`
	UID          uint32     `json:"uid" doc:"in the source folder; 0: the folder itself"`
	MessageID    string     `json:"messageId" doc:"the Message-ID header"`
	Date         *time.Time `json:"date" doc:"INTERNALDATE at the source"`
	Size         int64      `json:"size" doc:"in bytes"`
	Code         string     `json:"code" doc:"why"`
	Reason       string     `json:"reason" doc:"what was tried, and the server's words"`
	Remedy       string     `json:"remedy" doc:"what to do"`
}

// Event is one thing that happened.
type Event struct {
	ID           int64          `json:"id" doc:"rises; what Last-Event-ID takes"`
	Kind         string         `json:"kind" doc:"such as batch.started or user.synced"`
	At           time.Time      `json:"at" doc:"when"`
	Actor        string         `json:"actor" doc:"the ID of the token; empty for the service itself"`
	EmailAddress string         `json:"emailAddress,omitempty" doc:"the user it is about"`
	Data         map[string]any `json:"data" doc:"more, by kind"`
}

// Rotated is how many endpoints and users have had their secrets put under the first
// key.
type Rotated struct {
	Records int `json:"records" doc:"endpoints and users whose secrets were put under the first key"`
}

// Problem is an error of the API (RFC 9457).
type Problem struct {
	Status   int            `json:"status" doc:"the HTTP status"`
	Title    string         `json:"title" doc:"the status's name"`
	Detail   string         `json:"detail" doc:"what is wrong"`
	Code     string         `json:"code" doc:"one of the catalogue"`
	Remedy   string         `json:"remedy" doc:"what to do"`
	Problems []FieldProblem `json:"problems,omitempty" doc:"the lines of a CSV file, or the fields of a request, that are wrong"`
	More     int            `json:"more,omitempty" doc:"how many further problems are not listed"`
	Stages   []Stage        `json:"stages,omitempty" doc:"of an endpoint's test that failed"`
	TraceID  string         `json:"traceId,omitempty" doc:"to be told when a fault of Mailhaul is reported"`
}

// FieldProblem is one thing that is wrong with a file or a request.
type FieldProblem struct {
	Line   int    `json:"line,omitempty" doc:"of the file"`
	Column string `json:"column,omitempty" doc:"of the file, or the field of the request"`
	Reason string `json:"reason" doc:"what is wrong"`
}

func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Code
	}
	return p.Code + ": " + p.Detail
}

// GetStatus is the HTTP status.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType makes JSON into problem+json.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Report is a batch's report as JSON.
type Report struct {
	Report      string           `json:"report" doc:"statistics, errors, items or receipts"`
	Batch       string           `json:"batch" doc:"name of the batch"`
	GeneratedAt time.Time        `json:"generatedAt" doc:"when it was made"`
	Items       []map[string]any `json:"items" nullable:"false" doc:"its rows: the columns of the CSV in camelCase"`
}
