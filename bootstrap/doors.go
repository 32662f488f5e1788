package bootstrap

import "go.uber.org/fx"

type doors struct{}

func (doors) http() string { return "" }
func (doors) grpc() string { return "" }

var doorsModule = fx.Module("doors", fx.Provide(func() doors { return doors{} }))
