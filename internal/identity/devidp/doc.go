// Package devidp is the OpenID provider of demonstrations and tests: it lists synthetic people, and choosing one is
// signing in. It stands in for VNeID and for the agencies' own sign-in, and speaks the same protocol strictly, so
// that what signs in here signs in there.
//
// It is no gate: anybody who reaches it is anybody. Therefore [New] refuses the environment "production", refuses
// personal numbers outside the range of synthetic people, and every page says that it is a test.
//
//	GET  {issuer}/.well-known/openid-configuration    discovery
//	GET  {issuer}/jwks                                 the signing key (ES256)
//	GET  {issuer}/authorize                            the list of accounts
//	POST {issuer}/authorize                            the choice; leads back with a code
//	POST {issuer}/token                                code and PKCE verifier for an id_token
//	GET  {issuer}/userinfo                             the claims again
//	GET  {issuer}/end_session                          leads back; there is no session here to end
//
// Kept deliberately: only the code flow, only PKCE S256, redirect addresses equal letter by letter, codes for one
// use within 60 seconds, iss in every answer (RFC 9207). Codes live in memory: a restart voids attempts under way.
package devidp
