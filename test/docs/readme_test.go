package docs_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/tasker-go/tasker/adapters/postgres"
	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/adapters/river"
	_ "github.com/tasker-go/tasker/api/taskerv1" // so that methods can be looked up by their names
	"github.com/tasker-go/tasker/migrations"
)

// patience bounds every wait for a program.
const patience = 30 * time.Second

// section returns the part of the README below a heading.
func section(t *testing.T, title string) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, "README.md").text, "\n## "+title+"\n")
	require.True(t, found, "the README has no section %q", title)
	body, _, _ := strings.Cut(rest, "\n## ")
	return body
}

// fileBlock is the name of a file and the block that holds its content.
var fileBlock = regexp.MustCompile("(?s)`([\\w/.-]+)`:\n\n```\\w+\n(.*?)```")

// commands returns the command lines of a text: those of its blocks that name
// no language, with continued lines joined.
func commands(text string) []string {
	var all []string
	var fence string
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```") && fence == "":
			fence = line
		case line == "```":
			fence = ""
		case fence == "```" && line != "":
			all = append(all, line)
		}
	}
	return all
}

func TestTheTwoCommandsOfTheREADMEComeFirst(t *testing.T) {
	t.Parallel()
	lines := commands(section(t, "Two commands"))
	require.GreaterOrEqual(t, len(lines), 2)
	require.Regexp(t, `^make run( |$)`, lines[0])
	require.Regexp(t, `^make test( |$)`, lines[1])
	for _, line := range lines[2:] {
		require.Regexp(t, `^(curl|grpcurl) `, line, "the set-up is two commands; what follows only tries them")
	}
}

func TestTheCommandsOfTheREADMEAgainstTheDemo(t *testing.T) {
	t.Parallel()
	lines := commands(section(t, "Two commands"))[2:]
	demo := start(t, build(t, "./examples/order_fulfillment", ""), t.TempDir(), regexp.MustCompile(`curl http://(\S+)/health\n.*\n?.*grpcurl -plaintext (\S+) `))
	require.Contains(t, demo.said(), "task             complete", "the demo shows its task to the end")
	require.Contains(t, demo.said(), "waiting_for_retry", "and one step that is retried")

	created := demo.run(t, lines[0])
	require.Equal(t, "order_fulfillment", created["name"])
	again := demo.run(t, lines[0])
	require.Equal(t, "task_exists", again["code"])
	require.Equal(t, created["task_uuid"], again["task_uuid"], "a duplicate names the task that exists")
	require.Equal(t, "healthy", demo.run(t, lines[1])["status"])
	require.Equal(t, "alive", demo.run(t, lines[2])["status"])

	// What the demo prints to try next.
	words := func(line string) string { return strings.Join(strings.Fields(line), " ") }
	var printed []string
	for line := range strings.Lines(strings.ReplaceAll(demo.said(), "\\\n", " ")) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "curl ") || strings.HasPrefix(line, "grpcurl ") {
			printed = append(printed, words(line))
		}
	}
	for _, line := range lines {
		require.Contains(t, printed, words(demo.here(line)), "the demo prints what the README shows")
	}
	statuses := map[string]bool{}
	for _, line := range printed {
		answer := demo.run(t, line)
		if code, refused := answer["code"]; refused {
			require.Equal(t, "task_exists", code, line)
		}
		if s, ok := answer["status"].(string); ok {
			statuses[s] = true
		}
	}
	require.True(t, statuses["steps_in_process"], "the printed line with another context makes another task")
	require.True(t, statuses["complete"], "the printed line that reads the demo's task finds it complete")

	docs := output(t, "curl", "-sS", "-o", os.DevNull, "-w", "%{http_code} %{content_type}", "http://"+demo.web+"/docs")
	require.Regexp(t, "^200 text/html", docs)
}

func TestTheFirstWorkflowOfTheREADME(t *testing.T) {
	t.Parallel()
	text := section(t, "Your first workflow")
	dir := t.TempDir()
	lines := commands(text)
	require.Equal(t, "mkdir -p examples/hello/templates", lines[0])
	output(t, "sh", "-c", "cd '"+dir+"' && "+lines[0])
	files := map[string]string{}
	for _, m := range fileBlock.FindAllStringSubmatch(text, -1) {
		files[m[1]] = filepath.Join(dir, m[1])
		require.NoError(t, os.WriteFile(files[m[1]], []byte(m[2]), 0o600), "the folder of %s was made above", m[1])
	}
	require.Len(t, files, 2)

	// The program is built as if it lay in the clone.
	require.Equal(t, "go run ./examples/hello", lines[1])
	where, err := filepath.Abs(filepath.Join(root, "examples/hello/main.go"))
	require.NoError(t, err)
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {where: files["examples/hello/main.go"]}})
	require.NoError(t, err)
	overlayFile := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(overlayFile, overlay, 0o600))
	hello := start(t, build(t, "./examples/hello", overlayFile), dir, regexp.MustCompile(`msg="tasker is ready" http=(\S+) grpc=(\S+)`))

	require.Len(t, lines, 5)
	created := hello.run(t, lines[2])
	id, ok := created["task_uuid"].(string)
	require.True(t, ok, created)
	read, steps := strings.ReplaceAll(lines[3], "TASK_UUID", id), strings.ReplaceAll(lines[4], "TASK_UUID", id)
	require.Eventually(t, func() bool { return hello.run(t, read)["status"] == "complete" }, patience, 50*time.Millisecond)
	var done []struct {
		Name    string
		Results struct{ Result string }
	}
	require.NoError(t, json.Unmarshal([]byte(hello.shell(t, steps)), &done))
	require.Len(t, done, 2)
	require.Equal(t, "shout", done[1].Name)
	require.Equal(t, "HELLO WORLD", done[1].Results.Result)
}

// build builds a program of the module and returns where it is. Files of the
// overlay count as if they lay in the module.
func build(t *testing.T, pkg, overlay string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("curl is not installed, and the README's lines are run with it")
	}
	program := filepath.Join(t.TempDir(), filepath.Base(pkg))
	args := []string{"build", "-buildvcs=false", "-o", program}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return program
}

// program is one that runs.
type program struct {
	web, rpc string
	mu       sync.Mutex
	out      strings.Builder
	moved    chan struct{} // gets something when out grows
}

// Write implements io.Writer for what the program says.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.moved <- struct{}{}:
	default:
	}
	return p.out.Write(b)
}

func (p *program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// start runs a program in dir, on a database and ports of its own, until the
// test is over. It returns once the program has said where its doors are.
func start(t *testing.T, path, dir string, doors *regexp.Regexp) *program {
	t.Helper()
	db := pgtest.New(t, pgtest.Schema{
		Files: migrations.Files,
		Migrate: func(ctx context.Context, url string) error {
			log := slog.New(slog.DiscardHandler)
			return postgres.Migrate(ctx, url, postgres.MigrateAuto, river.Migrations{Schema: postgres.Schema, Log: log}, log)
		},
	})
	p := &program{moved: make(chan struct{}, 1)}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, "--web-port", "0", "--grpc-port", "0")
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, p, p
	cmd.WaitDelay = patience
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "TASKER_") && !strings.HasPrefix(v, "DATABASE_URL=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "DATABASE_URL="+db.URL)
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGINT); errors.Is(err, os.ErrProcessDone) {
			require.NoError(t, <-ended, p.said())
			return
		}
		select {
		case err := <-ended:
			require.NoError(t, err, "stop: %s", p.said())
		case <-time.After(patience):
			require.NoError(t, cmd.Process.Kill())
			require.Fail(t, "the program did not stop", p.said())
		}
	})
	late := time.After(patience)
	for {
		if m := doors.FindStringSubmatch(p.said()); m != nil {
			p.web, p.rpc = m[1], m[2]
			return p
		}
		select {
		case <-p.moved:
		case err := <-ended:
			ended <- err
			require.FailNow(t, "the program ended", "%v: %s", err, p.said())
		case <-late:
			require.FailNow(t, "the program does not serve", p.said())
		}
	}
}

// here puts this program's doors into a line of the README.
func (p *program) here(line string) string {
	return strings.ReplaceAll(strings.ReplaceAll(line, "localhost:8080", p.web), "localhost:9190", p.rpc)
}

// shell runs a line of the README, and returns what it prints.
func (p *program) shell(t *testing.T, line string) string {
	t.Helper()
	line = p.here(line)
	if strings.HasPrefix(line, "grpcurl ") {
		return grpcurl(t, line)
	}
	return output(t, "sh", "-c", line)
}

func (p *program) run(t *testing.T, line string) map[string]any {
	t.Helper()
	out := p.shell(t, line)
	answer := map[string]any{}
	require.NoError(t, json.Unmarshal([]byte(out), &answer), "%s: %s", line, out)
	return answer
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var said strings.Builder
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s %q: %s", name, args, said.String())
	return string(out)
}

// grpcurl runs a line by grpcurl where that is installed; else it does what
// grpcurl does with such a line: look up the method by its name and call it
// with an empty message.
func grpcurl(t *testing.T, line string) string {
	t.Helper()
	if _, err := exec.LookPath("grpcurl"); err == nil {
		return output(t, "sh", "-c", line)
	}
	m := regexp.MustCompile(`^grpcurl -plaintext (\S+) ([\w.]+)/(\w+)$`).FindStringSubmatch(line)
	require.NotNil(t, m, line)
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(m[2] + "." + m[3]))
	require.NoError(t, err, line)
	method, ok := found.(protoreflect.MethodDescriptor)
	require.True(t, ok, line)
	conn, err := grpc.NewClient(m[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	reply := dynamicpb.NewMessage(method.Output())
	require.NoError(t, conn.Invoke(t.Context(), "/"+m[2]+"/"+m[3], dynamicpb.NewMessage(method.Input()), reply), line)
	out, err := protojson.Marshal(reply)
	require.NoError(t, err)
	return string(out)
}
