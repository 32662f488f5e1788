// Package api_test compares the generated code with the contract.
package api_test

import (
	"cmp"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/tasker-go/tasker/api/taskerv1"
)

// contract is written from the published contract, not from our .proto files:
// every name, number, type and label that other programs rely on. It changes
// only when the contract itself does.
//
//go:embed testdata/contract.golden
var contract string

// additions is what this server offers beyond the contract: a service and its
// messages, fields from firstOwn up, and one reason of dead letters.
//
//go:embed testdata/additions.golden
var additions string

// firstOwn is the first number of a field that is ours.
const firstOwn = 100

// isOwn reports whether a field or value of an enumeration is ours.
func isOwn(d protoreflect.Descriptor) bool {
	switch d := d.(type) {
	case protoreflect.FieldDescriptor:
		return d.Number() >= firstOwn || d.ParentFile() == taskerv1.File_tasker_v1_operator_proto
	case protoreflect.EnumValueDescriptor:
		return d.FullName() == "tasker.v1.DLQ_REASON_PERMANENT_FAILURE"
	default:
		return false
	}
}

var files = []protoreflect.FileDescriptor{
	taskerv1.File_tasker_v1_common_proto,
	taskerv1.File_tasker_v1_tasks_proto,
	taskerv1.File_tasker_v1_steps_proto,
	taskerv1.File_tasker_v1_templates_proto,
	taskerv1.File_tasker_v1_analytics_proto,
	taskerv1.File_tasker_v1_dlq_proto,
	taskerv1.File_tasker_v1_health_proto,
	taskerv1.File_tasker_v1_config_proto,
	taskerv1.File_tasker_v1_worker_proto,
}

func TestDescriptorsAreTheContract(t *testing.T) {
	t.Parallel()
	require.Equal(t, sections(contract), sections(describe(files, func(d protoreflect.Descriptor) bool { return !isOwn(d) })))
}

// update writes what is ours anew; the contract stays as it is.
var update = flag.Bool("update", false, "write testdata/additions.golden anew")

func TestWhatIsAddedToTheContract(t *testing.T) {
	t.Parallel()
	all := append(slices.Clone(files), taskerv1.File_tasker_v1_operator_proto)
	got := trim(describe(all, isOwn))
	if *update {
		require.NoError(t, os.WriteFile("testdata/additions.golden", []byte(got), 0o600))
		return
	}
	require.Equal(t, sections(additions), sections(got))
}

// trim drops what has nothing of its own: messages and enumerations without a
// line, and services of the contract. A message of ours without fields goes too;
// the methods name it.
func trim(text string) string {
	var out strings.Builder
	for s := range slices.Values(split(text)) {
		service := strings.HasPrefix(s, "service ")
		if strings.Count(s, "\n") > 1 && (!service || strings.HasPrefix(s, "service OperatorService\n")) {
			out.WriteString(s)
		}
	}
	return out.String()
}

func TestContractHasItsPublishedSize(t *testing.T) {
	t.Parallel()
	var size struct{ messages, fields, enums, services, methods int }
	for _, file := range files {
		size.messages += file.Messages().Len()
		size.enums += file.Enums().Len()
		for message := range each(file.Messages()) {
			require.Zero(t, countNested(message), "%s has a message inside", message.FullName())
			for field := range each(message.Fields()) {
				if !isOwn(field) {
					size.fields++
				}
			}
			size.enums += message.Enums().Len()
		}
		size.services += file.Services().Len()
		for service := range each(file.Services()) {
			size.methods += service.Methods().Len()
		}
	}
	require.Len(t, files, 9)
	require.Equal(t, 118, size.messages)
	require.Equal(t, 511, size.fields)
	require.Equal(t, 10, size.enums)
	require.Equal(t, 10, size.services)
	require.Equal(t, 33, size.methods)
}

// countNested counts the messages declared inside m, without those that stand
// for the entries of a map.
func countNested(m protoreflect.MessageDescriptor) int {
	n := 0
	for inner := range each(m.Messages()) {
		if !inner.IsMapEntry() {
			n++
		}
	}
	return n
}

// describe writes descriptors in the form of the golden text, of the fields and
// values those that keep says.
func describe(files []protoreflect.FileDescriptor, keep func(protoreflect.Descriptor) bool) string {
	var text, services strings.Builder
	for _, file := range files {
		fmt.Fprintf(&text, "file %s\n", file.Path())
		for enum := range each(file.Enums()) {
			describeEnum(&text, enum, keep)
		}
		for message := range each(file.Messages()) {
			for enum := range each(message.Enums()) {
				describeEnum(&text, enum, keep)
			}
			fmt.Fprintf(&text, "message %s\n", message.Name())
			for field := range each(message.Fields()) {
				if !keep(field) {
					continue
				}
				line := fmt.Sprintf("  %d %s %s %s", field.Number(), field.Name(), typeOf(field), label(field))
				fmt.Fprintln(&text, strings.TrimRight(line, " "))
			}
		}
		for service := range each(file.Services()) {
			fmt.Fprintf(&services, "service %s\n", service.Name())
			for m := range each(service.Methods()) {
				fmt.Fprintf(&services, "  %s %s%s %s%s\n", m.Name(),
					stream(m.IsStreamingClient()), m.Input().Name(), stream(m.IsStreamingServer()), m.Output().Name())
			}
		}
	}
	return text.String() + services.String()
}

func describeEnum(text *strings.Builder, enum protoreflect.EnumDescriptor, keep func(protoreflect.Descriptor) bool) {
	fmt.Fprintf(text, "enum %s\n", local(enum))
	for value := range each(enum.Values()) {
		if !keep(value) {
			continue
		}
		fmt.Fprintf(text, "  %d %s\n", value.Number(), value.Name())
	}
}

func typeOf(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return fmt.Sprintf("map<%s,%s>", typeOf(field.MapKey()), typeOf(field.MapValue()))
	case field.Message() != nil:
		return local(field.Message())
	case field.Enum() != nil:
		return local(field.Enum())
	default:
		return field.Kind().String()
	}
}

func label(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsList():
		return "repeated"
	case field.HasOptionalKeyword():
		return "optional"
	default:
		return ""
	}
}

func stream(yes bool) string {
	if yes {
		return "stream "
	}
	return ""
}

// local is the name within tasker.v1.
func local(d protoreflect.Descriptor) string {
	return strings.TrimPrefix(string(d.FullName()), "tasker.v1.")
}

// sections splits text at its unindented lines, which open a section each, and
// orders the sections within each file: where a message stands in its file is
// no part of the contract.
func sections(text string) []string {
	var all []string
	file := ""
	for _, s := range split(text) {
		switch {
		case strings.HasPrefix(s, "file "):
			file = s
			all = append(all, s)
		case strings.HasPrefix(s, "service "):
			all = append(all, s)
		default:
			all = append(all, file+s)
		}
	}
	slices.SortFunc(all, cmp.Compare[string])
	return all
}

// split splits text at its unindented lines.
func split(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  ") {
			all[len(all)-1] += line
			continue
		}
		all = append(all, line)
	}
	return all
}

// each ranges over one of protoreflect's lists.
func each[D any](list interface {
	Len() int
	Get(int) D
},
) func(yield func(D) bool) {
	return func(yield func(D) bool) {
		for i := range list.Len() {
			if !yield(list.Get(i)) {
				return
			}
		}
	}
}
