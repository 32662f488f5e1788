package grpc

import (
	"net"

	"google.golang.org/grpc/codes"

	"github.com/tasker-go/tasker/core/app"
	"github.com/tasker-go/tasker/core/domain/fault"
)

// ServeOn serves on a listener of the test's own.
func (d *Server) ServeOn(l net.Listener) error {
	d.listener = l
	return d.Serve()
}

// Kinds is the table of codes.
func Kinds() map[fault.Kind]codes.Code { return kinds }

// Exceptions are the rows that differ from it, as operation and fault.
func Exceptions() map[[2]string]codes.Code {
	all := map[[2]string]codes.Code{}
	for e, code := range exceptions {
		all[[2]string{string(e.op), string(e.code)}] = code
	}
	return all
}

// CodeOf is the code of a fault of an operation.
func CodeOf(op app.Operation, f *fault.Error) codes.Code { return codeOf(op, f) }
