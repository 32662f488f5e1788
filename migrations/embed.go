// Package migrations holds the database schema, in append-only numbered steps.
package migrations

import "embed"

// Files are the steps, to be run by goose. Those from AfterRiver on need
// River's tables.
//
//go:embed *.sql
var Files embed.FS

// AfterRiver is the number of the first step that needs River's tables.
const AfterRiver = 2
