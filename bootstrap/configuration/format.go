package configuration

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

var (
	hostName   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\.?$`)
	headerName = regexp.MustCompile("^[A-Za-z0-9_-]+$") // what is both a header and a gRPC metadata key
	visible    = regexp.MustCompile(`^[!-~]+$`)
	permission = regexp.MustCompile(`^[a-z_]+:(\*|[a-z_]+)$`)
)

// formats are the rules of text that tags name. Each returns what would be
// right, or nothing. Whether the empty text is right is theirs to say, too.
var formats = map[string]func(string) string{
	"not_empty": func(s string) string {
		if s == "" {
			return "must not be empty"
		}
		return ""
	},
	"host": func(s string) string {
		if _, err := netip.ParseAddr(s); err != nil && s != "" && !hostName.MatchString(s) {
			return "must be an IP address or a host name, without a port"
		}
		return ""
	},
	"header": func(s string) string {
		if !headerName.MatchString(s) {
			return "must be a header name: letters, digits, - and _"
		}
		return ""
	},
	"key": func(s string) string {
		if s != "" && !visible.MatchString(s) {
			return "must be visible ASCII characters without spaces"
		}
		return ""
	},
	"permission": func(s string) string {
		if !permission.MatchString(s) {
			return "must be resource:action or resource:*, such as tasks:create or tasks:*"
		}
		return ""
	},
	"origin":       origin,
	"role":         roleFormat,
	"algorithm":    algorithmFormat,
	"web_url":      webURLFormat,
	"postgres_url": postgresURL,
	"webhook_url": func(s string) string {
		if u, err := url.Parse(s); s != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "") {
			return "must be https://host/path"
		}
		return ""
	},
	"webhook_secret": func(s string) string {
		if s != "" && (len(s) < 16 || !visible.MatchString(s)) {
			return "must be at least 16 visible ASCII characters without spaces"
		}
		return ""
	},
}

// postgresURL accepts what the driver does, a URL with several hosts and
// libpq's "host=… dbname=…" among it, but catches what people get wrong.
func postgresURL(s string) string {
	const right = "must be postgresql://user:password@host:5432/database"
	scheme, rest, hasScheme := strings.Cut(s, "://")
	switch {
	case s == "", !hasScheme && strings.Contains(s, "="):
		return ""
	case !hasScheme || (scheme != "postgresql" && scheme != "postgres"):
		return right
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	path, _, _ = strings.Cut(path, "?")
	user := authority[:max(0, strings.LastIndex(authority, "@"))]
	// An @ behind the authority: a / or # of the password ended it early.
	if _, err := url.Parse("postgresql://" + user + "@host"); err != nil || strings.Contains(path, "@") {
		return right + "; special characters of user and password are %-encoded"
	}
	return ""
}
