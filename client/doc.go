// Package client talks to a tasker server, over REST or gRPC, with one set of
// methods, types and errors for both. The scheme of the address chooses:
//
//	c, err := client.New("grpc://localhost:9190", client.WithAPIKey(key))
//
// A Client is safe for use by several goroutines; Close it when done.
package client
