package provider

import (
	"slices"
	"strings"

	"github.com/mailhaul/mailhaul/pkg/migration"
)

// Preset is what is known of one mail system. A zero field is not known.
type Preset struct {
	Name  string `json:"name"`
	Title string `json:"title"`

	Host string `json:"host,omitempty"` // "" where every site has its own
	// OtherHosts are further servers of the same provider, with whom they are for.
	OtherHosts []OtherHost        `json:"otherHosts,omitempty"`
	Port       int                `json:"port"`
	Security   migration.Security `json:"security"`
	Auth       string             `json:"auth"` // as in EndpointSpec: "password" or "xoauth2"
	// Password says which kind of password it takes, such as "app password".
	Password string `json:"password,omitempty"`
	// Login is what users log in with: the full address, or its local part.
	Login string `json:"login,omitempty"`
	// LoginTemplate is the administrator's form, as in EndpointSpec.
	LoginTemplate string `json:"loginTemplate,omitempty"`
	OAuth         *OAuth `json:"oauth,omitempty"`

	// Connections at once that the provider allows. Where it does not say, a preset
	// of ours is careful.
	ConnectionsPerUser int `json:"connectionsPerUser,omitempty"`
	ConnectionsPerIP   int `json:"connectionsPerIP,omitempty"`

	AppendLimit   int64 `json:"appendLimit,omitempty"`   // bytes of a message, by default
	MaxLine       int   `json:"maxLine,omitempty"`       // bytes of a line in a message
	DailyDownload int64 `json:"dailyDownload,omitempty"` // bytes a user and day
	DailyUpload   int64 `json:"dailyUpload,omitempty"`
	VisiblePerBox int   `json:"visiblePerFolder,omitempty"` // messages that IMAP shows of a folder

	// LeftOut are folders of a source, with all below them, that are left out unless they
	// are asked for by name; PublicFolders likewise, unless the endpoint asks for shared ones.
	LeftOut       []string `json:"leftOut,omitempty"`
	PublicFolders []string `json:"publicFolders,omitempty"`

	FoldsCase bool   `json:"foldsCase,omitempty"` // folder names that differ in case are one
	Forbidden string `json:"forbidden,omitempty"` // characters that no part of a folder name may hold
	TrimNames bool   `json:"trimNames,omitempty"` // no space may begin or end a folder name
	// NeedsID says that the client has to name itself (RFC 2971) after login and
	// before it opens a folder.
	NeedsID bool `json:"needsID,omitempty"`
	// Missing are extensions not to be used, whatever the server announces.
	Missing []string `json:"missing,omitempty"`

	// MX are patterns of the provider's mail exchangers.
	MX []string `json:"mxPatterns,omitempty"`

	Facts []Fact `json:"facts"`
}

// OtherHost is a further server of a provider.
type OtherHost struct {
	Host string `json:"host"`
	For  string `json:"for"`
}

// OAuth is how a token is got.
type OAuth struct {
	TokenURL   string `json:"tokenUrl"` // {tenant} is the customer's directory
	Scope      string `json:"scope"`
	Permission string `json:"permission,omitempty"` // to be granted to the application
}

// Fact is one thing known of a provider, and how we know it.
type Fact struct {
	Text   string `json:"text"`
	Source string `json:"source"`
	Date   string `json:"date"` // of the source, or of the day it was read; YYYY-MM-DD
	// Unconfirmed facts come from a source that is not the provider's own and that
	// was not tried.
	Unconfirmed bool `json:"unconfirmed,omitempty"`
}

// careful is the number of connections at once to a provider that tells no limit.
const careful = 5

// List returns all presets by name.
func List() []Preset {
	all := slices.Concat(microsoft(), google(), china(), consumer(), hosters(), servers())
	for i, p := range all {
		if len(p.MX) > 0 {
			all[i].Facts = append(all[i].Facts, reported("mail exchangers: "+strings.Join(p.MX, ", ")))
		}
	}
	slices.SortFunc(all, func(a, b Preset) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Lookup returns the preset of that name.
func Lookup(name string) (Preset, bool) {
	for _, p := range List() {
		if p.Name == name {
			return p, true
		}
	}
	return Preset{}, false
}

// Apply returns spec with the preset's values where it has none of its own.
func (p Preset) Apply(spec migration.EndpointSpec) migration.EndpointSpec {
	if spec.Host == "" {
		spec.Host = p.Host
	}
	if spec.Security == "" {
		spec.Security = p.Security
	}
	if spec.Port == 0 {
		spec.Port = p.Port
		if spec.Security != p.Security {
			spec.Port = defaultPort(spec.Security)
		}
	}
	if spec.Auth == "" {
		spec.Auth = p.Auth
	}
	// An administrator's form without an administrator would be no default but a
	// broken endpoint.
	if spec.LoginTemplate == "" && spec.AdminUser != "" {
		spec.LoginTemplate = p.LoginTemplate
	}
	return spec
}

func defaultPort(s migration.Security) int {
	if s == migration.TLS {
		return 993
	}
	return 143
}

// over is a server with implicit TLS on its standard port that takes a password.
func over(name, title, host string) Preset {
	return Preset{
		Name: name, Title: title, Host: host,
		Port: 993, Security: migration.TLS, Auth: "password", Password: "password", Login: "full address",
		ConnectionsPerUser: careful,
	}
}

// Sources that several presets share.
const (
	ispdb     = "https://github.com/thunderbird/autoconfig (ISPDB)"
	ispdbDate = "2026-03-12"
	field     = "reports from the field, collected for this project"
	fieldDate = "2026-11-21"
	measured  = "measured with the servers of bench/"
)

func address(host string) Fact {
	return Fact{Text: host + " port 993, implicit TLS", Source: ispdb, Date: ispdbDate}
}

func reported(text string) Fact {
	return Fact{Text: text, Source: field, Date: fieldDate, Unconfirmed: true}
}

// DailyBytes are how many bytes a day one mailbox at e may move, as the endpoint's operator
// has set it or as its preset knows; 0: any number. Providers have one limit for what is
// read and another for what is written.
func DailyBytes(e *migration.Endpoint, side migration.Side) int64 {
	p, _ := Lookup(e.Preset)
	switch {
	case e.DailyBytesPerMailbox != 0:
		return max(e.DailyBytesPerMailbox, 0)
	case side == migration.Source:
		return p.DailyDownload
	}
	return p.DailyUpload
}
