package grpc

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	"github.com/tasker-go/tasker/core/domain/fault"
)

// request is a message that is to be read. grpc-go answers one that cannot be
// read itself, and calls it an internal error; read as a request it is for the
// gate to answer.
type request struct {
	message any
	err     error
}

// receive reads a message with a function of grpc-go's.
func receive(read func(any) error, message any) error {
	r := request{message: message}
	if err := read(&r); err != nil {
		return err
	}
	if r.err != nil {
		return fault.New(fault.CodeMalformed,
			"the request is not a message of this method, or has text that is not valid UTF-8").Because(r.err)
	}
	return nil
}

// tolerant is the usual codec, for which requests cannot be wrong.
type tolerant struct{ encoding.CodecV2 }

func newCodec() encoding.CodecV2 { return tolerant{encoding.GetCodecV2(proto.Name)} }

// Unmarshal implements encoding.CodecV2.
func (c tolerant) Unmarshal(data mem.BufferSlice, v any) error {
	r, ok := v.(*request)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	r.err = c.CodecV2.Unmarshal(data, r.message)
	return nil
}
