// Package manage is the frame of the management interface: HTTP operations that return Go values, behind role-bound
// keys, limited in rate, audited, and described by an OpenAPI 3.1 document that is made from the same declarations
// that mount them, so that it cannot tell another story.
//
// A module declares what it offers:
//
//	manage.Handle(api, manage.Operation{
//		Method: "POST", Path: "/api/exchange/operators", ID: "createOperator", Tag: "operators",
//		Summary: "Make a key for an operator", Roles: []manage.Role{manage.Security}, Act: "exchange.operator.create", Status: 201,
//	}, func(ctx context.Context, in newOperator) (createdOperator, error) { … })
//
// The fields of the input are read from the path (`path:"id"`), the query (`query:"limit"`) and otherwise from the JSON
// body. `doc:"…"` describes a field, `enum:"a,b"` closes it. The output becomes the JSON answer; [File] and [Lines] are
// answers of other types. A request passes: rate → key → role → input → audit → handler. An act that cannot be recorded
// does not happen; one that fails is recorded as failed.
//
// The package knows no module, stores nothing and makes no keys: [API.Authenticate] and [API.Audit] are given.
package manage
