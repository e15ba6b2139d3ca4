package client

import "time"

// Page is one page of a list; NextCursor is "" on the last.
type Page[T any] struct {
	Items      []T    `json:"items"`
	NextCursor string `json:"nextCursor"`
}

// Org is an organisation.
type Org struct {
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"createdAt"`
}

// NewOrg asks for an organisation.
type NewOrg struct {
	Name string `json:"name" doc:"1 to 64 letters, digits, -, _ and ."`
}

// Token is a token without its value.
type Token struct {
	ID        string     `json:"id"`
	Role      string     `json:"role" doc:"owner, admin, operator or viewer"`
	CreatedAt time.Time  `json:"createdAt"`
	ExpiresAt *time.Time `json:"expiresAt"`
	RevokedAt *time.Time `json:"revokedAt"`
}

// NewToken asks for a token.
type NewToken struct {
	Role    string `json:"role" doc:"owner, admin, operator or viewer"`
	Expires string `json:"expires,omitempty" doc:"how long it lives, such as 720h; absent: for ever"`
}

// CreatedToken is a token with its value, which is told this once.
type CreatedToken struct {
	Token
	Value   string `json:"token" doc:"the token itself; it is not told again"`
	Warning string `json:"warning,omitempty"`
}

// EndpointSpec is what is set of an endpoint.
type EndpointSpec struct {
	Preset                        string `json:"preset,omitempty"`
	Host                          string `json:"host,omitempty"`
	Port                          int    `json:"port,omitempty" doc:"993, or 143 without tls"`
	Security                      string `json:"security,omitempty" doc:"tls, starttls or none"`
	Auth                          string `json:"auth,omitempty" doc:"password"`
	LoginTemplate                 string `json:"loginTemplate,omitempty" doc:"how the administrator logs in for a user: {user}, {domain}, {admin}; or sasl-plain"`
	AdminUser                     string `json:"adminUser,omitempty"`
	TestMailbox                   string `json:"testMailbox,omitempty" doc:"whom the administrator opens in the test"`
	MaxConcurrentMigrations       int    `json:"maxConcurrentMigrations,omitempty" doc:"passes at once over the whole fleet (20)"`
	MaxConcurrentIncrementalSyncs int    `json:"maxConcurrentIncrementalSyncs,omitempty" doc:"of those, resyncs (10)"`
}

// NewEndpoint asks for an endpoint.
type NewEndpoint struct {
	Name string `json:"name"`
	EndpointSpec
	AdminPassword string `json:"adminPassword,omitempty" writeOnly:"true"`
}

// EndpointChange changes what is not nil.
type EndpointChange struct {
	Preset                        *string `json:"preset,omitempty"`
	Host                          *string `json:"host,omitempty"`
	Port                          *int    `json:"port,omitempty"`
	Security                      *string `json:"security,omitempty"`
	Auth                          *string `json:"auth,omitempty"`
	LoginTemplate                 *string `json:"loginTemplate,omitempty"`
	AdminUser                     *string `json:"adminUser,omitempty"`
	AdminPassword                 *string `json:"adminPassword,omitempty" writeOnly:"true"`
	TestMailbox                   *string `json:"testMailbox,omitempty"`
	MaxConcurrentMigrations       *int    `json:"maxConcurrentMigrations,omitempty"`
	MaxConcurrentIncrementalSyncs *int    `json:"maxConcurrentIncrementalSyncs,omitempty"`
}

// Endpoint is an endpoint; secrets are never told.
type Endpoint struct {
	Name                          string    `json:"name"`
	Preset                        string    `json:"preset"`
	Host                          string    `json:"host"`
	Port                          int       `json:"port"`
	Security                      string    `json:"security"`
	Auth                          string    `json:"auth"`
	LoginTemplate                 string    `json:"loginTemplate"`
	AdminUser                     string    `json:"adminUser"`
	AdminPasswordSet              bool      `json:"adminPasswordSet"`
	TestMailbox                   string    `json:"testMailbox"`
	MaxConcurrentMigrations       int       `json:"maxConcurrentMigrations"`
	MaxConcurrentIncrementalSyncs int       `json:"maxConcurrentIncrementalSyncs"`
	CreatedAt                     time.Time `json:"createdAt"`
	Parked                        *Parked   `json:"parked" doc:"set while the endpoint rests after a fault of its own"`
}

// Parked is an endpoint at rest.
type Parked struct {
	Until  *time.Time `json:"until"`
	Held   bool       `json:"held" doc:"until the endpoint is changed"`
	Code   string     `json:"code"`
	Reason string     `json:"reason"`
	Remedy string     `json:"remedy"`
}

// EndpointTest is what an endpoint's test logs in with.
type EndpointTest struct {
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty" writeOnly:"true"`
}

// TestResult is how far an endpoint's test came.
type TestResult struct {
	OK     bool    `json:"ok"`
	Stages []Stage `json:"stages"`
}

// Stage is one step of a test.
type Stage struct {
	Name         string  `json:"name"`
	OK           bool    `json:"ok"`
	Detail       string  `json:"detail"`
	Code         string  `json:"code"`
	Remedy       string  `json:"remedy"`
	Milliseconds float64 `json:"milliseconds"`
}

// BatchSpec is what is set of a batch.
type BatchSpec struct {
	Name           string     `json:"name,omitempty" doc:"absent: the CSV file's"`
	Type           string     `json:"type,omitempty" doc:"imap"`
	SourceEndpoint string     `json:"sourceEndpoint,omitempty"`
	TargetEndpoint string     `json:"targetEndpoint,omitempty"`
	AutoStart      bool       `json:"autoStart,omitempty"`
	StartAt        *time.Time `json:"startAt,omitempty"`
	ExcludeFolders []string   `json:"excludeFolders,omitempty" nullable:"true"`
	IncludeFolders []string   `json:"includeFolders,omitempty" nullable:"true"`
	Deletions      string     `json:"deletions,omitempty" doc:"keep"`
	ResyncInterval string     `json:"resyncInterval,omitempty" doc:"between two syncs of a user, such as 24h"`
	Notify         []string   `json:"notify,omitempty" nullable:"true"`
	// Encoding and AllowUnknownColumns are of the CSV file.
	Encoding            string `json:"encoding,omitempty" doc:"of the CSV file, where it is not UTF-8"`
	AllowUnknownColumns bool   `json:"allowUnknownColumns,omitempty"`
}

// BatchChange changes what is not nil.
type BatchChange struct {
	ExcludeFolders *[]string `json:"excludeFolders,omitempty"`
	IncludeFolders *[]string `json:"includeFolders,omitempty"`
	Deletions      *string   `json:"deletions,omitempty"`
	ResyncInterval *string   `json:"resyncInterval,omitempty"`
	Notify         *[]string `json:"notify,omitempty"`
}

// Batch is a batch.
type Batch struct {
	Name           string         `json:"name"`
	Type           string         `json:"type"`
	SourceEndpoint string         `json:"sourceEndpoint"`
	TargetEndpoint string         `json:"targetEndpoint"`
	AutoStart      bool           `json:"autoStart"`
	StartAt        *time.Time     `json:"startAt"`
	CompleteAt     *time.Time     `json:"completeAt"`
	ExcludeFolders []string       `json:"excludeFolders"`
	IncludeFolders []string       `json:"includeFolders"`
	Deletions      string         `json:"deletions"`
	ResyncInterval string         `json:"resyncInterval"`
	Notify         []string       `json:"notify"`
	Status         string         `json:"status"`
	Counts         map[string]int `json:"counts" doc:"total, and users by status"`
	Messages       Messages       `json:"messages"`
	Bytes          Bytes          `json:"bytes"`
	CreatedAt      time.Time      `json:"createdAt"`
	StartedAt      *time.Time     `json:"startedAt"`
	LastSyncedAt   *time.Time     `json:"lastSyncedAt"`
	BytesPerSecond *int64         `json:"bytesPerSecond" doc:"as measured between the last looks at the batch"`
	ETASeconds     *int64         `json:"etaSeconds" doc:"at this rate; null where it cannot be told"`
}

// Messages counts messages: seen is the sum of unchanged, copied, adopted, skipped
// and failed.
type Messages struct {
	Seen          int64 `json:"seen"`
	Unchanged     int64 `json:"unchanged"`
	Copied        int64 `json:"copied"`
	Adopted       int64 `json:"adopted"`
	Skipped       int64 `json:"skipped"`
	Failed        int64 `json:"failed"`
	Redelivered   int64 `json:"redelivered"`
	Surplus       int64 `json:"surplus"`
	MovedAtSource int64 `json:"movedAtSource"`
}

// Bytes counts bytes.
type Bytes struct {
	Copied int64 `json:"copied"`
	Total  int64 `json:"total" doc:"at the source, as far as it is known"`
}

// DryRun is what a dry run answers.
type DryRun struct {
	DryRun    bool   `json:"dryRun"`
	Name      string `json:"name"`
	Mailboxes int    `json:"mailboxes"`
}

// Added is what became of the rows of a file.
type Added struct {
	Created   int `json:"created"`
	Unchanged int `json:"unchanged"`
	Updated   int `json:"updated"`
}

// Completion says when a batch completes.
type Completion struct {
	At *time.Time `json:"at,omitempty"`
}

// User is one mailbox pair.
type User struct {
	EmailAddress   string     `json:"emailAddress"`
	UserName       string     `json:"userName"`
	TargetUserName string     `json:"targetUserName"`
	Status         string     `json:"status"`
	Code           string     `json:"code"`
	Reason         string     `json:"reason"`
	Remedy         string     `json:"remedy"`
	Messages       Messages   `json:"messages"`
	Bytes          Bytes      `json:"bytes"`
	Folders        Folders    `json:"folders"`
	LastSyncedAt   *time.Time `json:"lastSyncedAt"`
	NextSyncAt     *time.Time `json:"nextSyncAt"`
	Attempts       int        `json:"attempts"`
	ResumesAt      *time.Time `json:"resumesAt"`
}

// Folders counts folders of the latest pass.
type Folders struct {
	Done  int64 `json:"done"`
	Total int64 `json:"total"`
}

// Credentials replace what a user logs in with; absent fields leave it as it is.
type Credentials struct {
	UserName       string `json:"userName,omitempty"`
	Password       string `json:"password,omitempty" writeOnly:"true"`
	TargetUserName string `json:"targetUserName,omitempty"`
	TargetPassword string `json:"targetPassword,omitempty" writeOnly:"true"`
}

// Item is a message that was skipped or failed; uid 0 is a folder.
type Item struct {
	EmailAddress string     `json:"emailAddress"`
	Folder       string     `json:"folder"`
	UID          uint32     `json:"uid"`
	MessageID    string     `json:"messageId"`
	Date         *time.Time `json:"date"`
	Size         int64      `json:"size"`
	Code         string     `json:"code"`
	Reason       string     `json:"reason"`
	Remedy       string     `json:"remedy"`
}

// Event is one thing that happened.
type Event struct {
	ID           int64          `json:"id"`
	Kind         string         `json:"kind"`
	At           time.Time      `json:"at"`
	Actor        string         `json:"actor" doc:"the ID of the token; empty for the service itself"`
	EmailAddress string         `json:"emailAddress,omitempty"`
	Data         map[string]any `json:"data"`
}

// Rotated is how many endpoints and users have had their secrets put under the first
// key.
type Rotated struct {
	Records int `json:"records"`
}

// Problem is an error of the API (RFC 9457).
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Remedy string `json:"remedy"`
	// Problems are the lines of a CSV file, or the fields of a request, that are wrong.
	Problems []FieldProblem `json:"problems,omitempty"`
	// More is how many further problems are not listed.
	More int `json:"more,omitempty"`
	// Stages are of an endpoint's test that failed.
	Stages  []Stage `json:"stages,omitempty"`
	TraceID string  `json:"traceId,omitempty" doc:"to be told when a fault of Mailhaul is reported"`
}

// FieldProblem is one thing that is wrong with a file or a request.
type FieldProblem struct {
	Line   int    `json:"line,omitempty"`
	Column string `json:"column,omitempty"`
	Reason string `json:"reason"`
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
