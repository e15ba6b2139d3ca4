// Package clients has clients of the API generated from its OpenAPI document, and each of
// them moves a batch from its file to its removal: a Go client by oapi-codegen, a
// TypeScript client by openapi-typescript with openapi-fetch. What a generator or its
// client stumbles over is mended in the document.
//
// Nothing generated is kept. The generators come from the Go module proxy and from npm,
// in fixed versions, so this is run by "make clients" alone (build tag clients); what CI
// can hold without them is in pkg/httpapi.TestClientsCanBeGenerated.
//
// testdata has the two programs over the clients. Each is told by environment where
// the API and the two mail servers are, and ends with an error at whatever it did not
// expect.
package clients
