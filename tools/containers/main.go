// Command containers checks a Dockerfile and a compose file with the parsers
// that docker itself uses, on machines where no engine runs: docker build and
// docker compose can read what it lets pass.
//
//	containers DOCKERFILE COMPOSEFILE
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: containers DOCKERFILE COMPOSEFILE")
		os.Exit(2)
	}
	if err := errors.Join(checkDockerfile(os.Args[1]), checkCompose(os.Args[2])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// checkDockerfile parses every instruction, applies the rules of docker build's
// own linter that need no image, and insists that the image that is kept does
// not run as root and copies only from stages that exist.
func checkDockerfile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	tree, err := parser.Parse(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}

	var found []error
	for _, w := range tree.Warnings {
		found = append(found, fmt.Errorf("%s: %s", path, w.Short))
	}
	warn := func(rule, _, _, message string, at []parser.Range) {
		line := 0
		if len(at) > 0 {
			line = at[0].Start.Line
		}
		found = append(found, fmt.Errorf("%s:%d: %s: %s", path, line, rule, message))
	}
	stages, _, err := instructions.Parse(tree.AST, linter.New(&linter.Config{Warn: warn}))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}

	user := ""
	for i, stage := range stages {
		user = ""
		for _, command := range stage.Commands {
			switch c := command.(type) {
			case *instructions.UserCommand:
				user = c.User
			case *instructions.CopyCommand:
				if _, known := instructions.HasStage(stages[:i], c.From); c.From != "" && !known {
					found = append(found, fmt.Errorf("%s: COPY --from=%s: no earlier stage has that name", path, c.From))
				}
			}
		}
	}
	if user == "" || user == "root" || user == "0" || strings.HasPrefix(user, "0:") {
		found = append(found, fmt.Errorf("%s: the last stage runs as root, want USER with an unprivileged one", path))
	}
	return errors.Join(found...)
}

// checkCompose loads the file as docker compose does with every profile: syntax,
// schema, references between services and volumes, and interpolation without any
// variable set.
func checkCompose(path string) error {
	options, err := cli.NewProjectOptions([]string{path},
		cli.WithWorkingDirectory(filepath.Dir(path)), cli.WithProfiles([]string{"*"}))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for name, service := range project.Services {
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				err = errors.Join(err, fmt.Errorf("%s: service %s publishes port %s to every network, want 127.0.0.1:%s:…", path, name, port.Published, port.Published))
			}
		}
	}
	return err
}
