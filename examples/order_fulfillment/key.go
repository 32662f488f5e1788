package main

import "os"

// apiKey is the key that the demo's own client uses, when the server asks for
// one.
func apiKey() string { return os.Getenv("TASKER_API_KEY") }
