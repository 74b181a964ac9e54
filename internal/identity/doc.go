// Package identity knows who is using a node: citizens and officers who signed in at an OpenID provider, their
// sessions, and which officer holds which role here.
//
// # Words
//
//   - A citizen ("công dân") is known by the 12-digit personal number ("số định danh cá nhân") and an
//     identification level 1 or 2 ("mức độ định danh", Decree 69/2024/NĐ-CP).
//   - An officer ("cán bộ, công chức") is known by an account name that is unique at the provider. The provider
//     only says who somebody is; what the person may do here stands in the node's own table of officers.
//   - A session ("phiên đăng nhập") is opaque: the browser holds a random token, the node keeps its hash.
//   - A flow is one attempt to sign in, from the button to the provider's answer.
//
// # How a sign-in goes
//
// identitypage starts a [Flow] and asks the [Provider] port (identityclient implements it) for the address to send
// the browser to. The browser comes back with a code; the provider port turns it into [Claims]; [Service.SignIn]
// applies the rules and opens a [Session]. From then on [Service.Principal] answers for each request.
//
// # What it does not know
//
// The root package knows no SQL, HTML or HTTP. It decides who somebody is and which roles they hold; whether a
// role suffices for a page is said where that page is mounted.
package identity
