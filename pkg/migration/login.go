package migration

import "strings"

// SASLPlain is the LoginTemplate of servers where the administrator logs in with
// the user as authorization identity (RFC 4616) instead of through a made-up name.
const SASLPlain = "sasl-plain"

// Login is how one mailbox of an endpoint is opened.
type Login struct {
	User            string // the name that goes over the wire
	AuthorizationID string // SASL PLAIN authzid, "" for none
	// Admin says that the password is the endpoint administrator's, not the user's.
	Admin bool
}

// HasAdmin reports whether an administrator can open mailboxes of the endpoint.
func (e *Endpoint) HasAdmin() bool {
	return e.LoginTemplate != "" && e.AdminUser != "" && len(e.AdminSecret) > 0
}

// AdminLogin returns how the administrator opens the mailbox whose own login name is
// given. In a template that has {domain}, {user} is the part before the last @;
// in one that has not, it is the whole name.
func (s EndpointSpec) AdminLogin(name string) Login {
	if s.LoginTemplate == SASLPlain {
		return Login{User: s.AdminUser, AuthorizationID: name, Admin: true}
	}
	user, domain := name, ""
	if i := strings.LastIndexByte(name, '@'); i >= 0 && strings.Contains(s.LoginTemplate, "{domain}") {
		user, domain = name[:i], name[i+1:]
	}
	r := strings.NewReplacer("{user}", user, "{domain}", domain, "{admin}", s.AdminUser)
	return Login{User: r.Replace(s.LoginTemplate), Admin: true}
}
