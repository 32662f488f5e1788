package scenario_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"github.com/tasker-go/tasker/adapters/postgres/pgtest"
	"github.com/tasker-go/tasker/bootstrap"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// scenario is a file.
type scenario struct {
	name      string // the file's, without its ending: the namespace of its templates
	templates []string
	uploads   map[string]string
	outcomes  map[string][]outcome
}

// read reads a file and adds its templates to all. Its script is read once for
// each play: it keeps notes.
func read(file string, all fstest.MapFS) (*scenario, func() ([]*command, error), error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	parts, err := sections(string(text))
	if err != nil {
		return nil, nil, err
	}
	s := &scenario{name: strings.TrimSuffix(filepath.Base(file), ".txtar"), uploads: map[string]string{}}
	var script section
	for _, part := range parts {
		switch {
		case part.name == "script":
			script = part
		case part.name == "outcomes":
			if s.outcomes, err = outcomes(part); err != nil {
				return nil, nil, err
			}
		case strings.HasPrefix(part.name, "upload-"):
			s.uploads[part.name] = part.text
		case strings.HasSuffix(part.name, ".yaml"):
			name, err := nameOf(part, s.name)
			if err != nil {
				return nil, nil, err
			}
			s.templates = append(s.templates, name)
			all[s.name+"-"+part.name] = &fstest.MapFile{Data: []byte(part.text)}
		default:
			return nil, nil, fmt.Errorf("no section is called %q", part.name)
		}
	}
	fresh := func() ([]*command, error) { return commands(script) }
	_, err = fresh()
	return s, fresh, err
}

// nameOf returns the name of a template.
func nameOf(part section, namespace string) (string, error) {
	var t struct {
		Name      string `yaml:"name"`
		Namespace string `yaml:"namespace_name"`
		Version   string `yaml:"version"`
	}
	if err := yaml.Unmarshal([]byte(part.text), &t); err != nil {
		return "", fmt.Errorf("%s: %w", part.name, err)
	}
	if t.Namespace != namespace || t.Version != "1.0.0" {
		return "", fmt.Errorf("%s: want namespace_name %s and version 1.0.0", part.name, namespace)
	}
	return t.Name, nil
}

// worlds is how many there are: scenarios take turns in them, since a server
// with a database takes longer to start than most scenarios do.
const worlds = 3

// playAll plays every scenario in worlds that open makes. It returns these, and
// whether it was every one: who runs the tests may have picked some.
func playAll(t *testing.T, open opener) (all []world, whole bool) {
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	templates := fstest.MapFS{}
	type ready struct {
		*scenario
		script func() ([]*command, error)
	}
	var scenarios []ready
	for _, file := range files {
		s, script, err := read(file, templates)
		require.NoError(t, err, file)
		scenarios = append(scenarios, ready{s, script})
	}
	type place struct {
		world
		on *stages
	}
	free := make(chan place, worlds)
	var played atomic.Int32
	for range worlds {
		on := &stages{}
		w := open(t, templates, on)
		all = append(all, w)
		free <- place{w, on}
	}
	t.Run("scenarios", func(t *testing.T) {
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				played.Add(1)
				w := <-free
				defer func() { free <- w }()
				script, err := s.script()
				require.NoError(t, err)
				stage := newStage(s.outcomes)
				w.on.all.Store(s.name, stage)
				defer w.on.all.Delete(s.name)
				defer stage.end()
				p := &player{
					t: t, world: w.world, stage: stage, namespace: s.name, templates: s.templates, uploads: s.uploads,
					api: client{w.URL(), &http.Client{}}, tasks: map[string]string{}, failed: map[string]string{},
				}
				for _, c := range script {
					if err := p.perform(t.Context(), c); err != nil {
						require.Fail(t, "the scenario went another way", "testdata/%s.txtar:%d: %s %s: %s", s.name, c.line, c.name, strings.Join(c.words, " "), err)
					}
				}
			})
		}
	})
	return all, int(played.Load()) == len(scenarios)
}

func TestScenariosInMemory(t *testing.T) {
	t.Parallel()
	playAll(t, openMemory)
}

func TestScenariosOnTheRealServer(t *testing.T) {
	t.Parallel()
	all, whole := playAll(t, openReal)
	if whole {
		requireEveryRow(t, all)
	}
	for _, w := range all {
		var said strings.Builder
		n, err := bootstrap.Check(t.Context(), bootstrap.CheckOptions{Config: w.(*onPostgres).configuration(), Out: &said, Log: discard})
		require.NoError(t, err)
		require.Zero(t, n, "what the scenarios left behind: %s", &said)
	}
}
