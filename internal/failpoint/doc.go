// Package failpoint kills the process at a named point, for crash tests. It
// exists only in binaries built with the tag failpoint.
//
// The variable MEDIAFN_FAILPOINT names the point, optionally with the number
// of times it is passed before: "granted" or "granted:2".
package failpoint
