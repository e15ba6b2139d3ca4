package provider

import "github.com/mailhaul/mailhaul/pkg/migration"

func google() []Preset {
	const limits = "https://support.google.com/a/answer/1071518 (Gmail bandwidth limits), as repeated by others"
	return []Preset{{
		Name: "gmail", Title: "Gmail and Google Workspace", Host: "imap.gmail.com",
		Port: 993, Security: migration.TLS, Auth: "xoauth2", Password: "app password", Login: "full address",
		OAuth:              &OAuth{TokenURL: "https://oauth2.googleapis.com/token", Scope: "https://mail.google.com/"},
		ConnectionsPerUser: 15, AppendLimit: 35_651_584,
		DailyDownload: 2_500_000_000, DailyUpload: 500_000_000, TrimNames: true,
		MX: []string{"*.google.com", "*.googlemail.com"},
		Facts: []Fact{
			address("imap.gmail.com"),
			{Text: "2,500 MB a day may be downloaded over IMAP and 500 MB uploaded, for each user", Source: limits, Date: "2016-05-23"},
			{Text: "at most 15 connections a user; further ones are answered \"Too many simultaneous connections\"", Source: "https://canarymail.io/help/too-many-simultaneous-connections-on-gmail/", Date: fieldDate, Unconfirmed: true},
			{Text: "X-GM-EXT-1 tells labels, message and thread ids; a message shows in the folder of each of its labels and in All Mail", Source: "https://developers.google.com/workspace/gmail/imap/imap-extensions", Date: fieldDate},
			reported("APPENDLIMIT=35651584 in CAPABILITY"),
			reported("throttling is answered with [THROTTLED] or [OVERQUOTA], a full mailbox with [OVERQUOTA] too"),
			reported("a space at the beginning or end of a label is refused"),
			reported("a user's password works as app password only; domain-wide delegation to a service account covers all users"),
		},
	}}
}
