package embeddedpg

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// binaries are PostgreSQL's programs of one version.
type binaries struct {
	dir     string
	major   int
	version string // as the program says it: "15.12"
}

func (b binaries) program(name string) string { return filepath.Join(b.dir, name) }

// search says which programs will do.
type search struct {
	explicit string // the only place to look, when set
	major    int    // the version of existing data; zero takes any supported one
	dataDir  string
	account  account
	places   []string // globs of directories, see packagePlaces
	host     string   // of the download
	cache    string   // where downloaded programs are kept
	log      *slog.Logger
}

// packagePlaces are the directories where packages put the programs, best first;
// within one glob the newest version comes first.
var packagePlaces = []string{
	"/usr/lib/postgresql/*/bin",          // Debian, Ubuntu
	"/opt/homebrew/opt/postgresql@*/bin", // Homebrew on Apple silicon
	"/usr/local/opt/postgresql@*/bin",    // Homebrew on Intel
	"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
	"/usr/pgsql-*/bin", // PostgreSQL's own packages for Red Hat
}

// findBinaries returns the programs that serve the search: from the explicit
// directory alone if there is one, else from PATH, from where packages put them,
// or from the embedded-postgres download.
func findBinaries(ctx context.Context, s search) (binaries, error) {
	if s.major != 0 && s.major < MinMajor {
		return binaries{}, fmt.Errorf("%w: %s holds data of PostgreSQL %d, and the oldest supported is %d: "+
			"move them to a newer one with pg_upgrade or pg_dump, or give another data directory",
			ErrVersion, s.dataDir, s.major, MinMajor)
	}
	if s.explicit != "" {
		return s.inExplicit(ctx)
	}
	var others []string
	for _, dir := range s.installed() {
		b, err := s.inspect(ctx, dir)
		if err != nil {
			continue // not PostgreSQL, or not for our user: the next place may be better
		}
		if s.fits(b) {
			return b, nil
		}
		others = append(others, fmt.Sprintf("%s in %s", b.version, b.dir))
	}
	if b, err := download(ctx, s); err == nil {
		return b, nil
	} else if ctx.Err() != nil {
		return binaries{}, context.Cause(ctx)
	}
	if s.major != 0 {
		return binaries{}, s.mismatch(others)
	}
	found := "none"
	if len(others) > 0 {
		found = strings.Join(others, ", ")
	}
	return binaries{}, fmt.Errorf("%w: version %d or newer is needed, found: %s; install it "+
		"(apt-get install postgresql, or brew install postgresql@18), or say where its programs are, or give a database URL",
		ErrNoBinaries, MinMajor, found)
}

func (s search) inExplicit(ctx context.Context) (binaries, error) {
	var problems []error
	for _, dir := range []string{s.explicit, filepath.Join(s.explicit, "bin")} {
		b, err := s.inspect(ctx, dir)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if s.fits(b) {
			return b, nil
		}
		if s.major != 0 {
			return binaries{}, s.mismatch([]string{fmt.Sprintf("%s in %s", b.version, b.dir)})
		}
		return binaries{}, fmt.Errorf("%w: %s holds version %s, and the oldest supported is %d",
			ErrNoBinaries, b.dir, b.version, MinMajor)
	}
	return binaries{}, fmt.Errorf("%w in the directory set, %s: %w", ErrNoBinaries, s.explicit, errors.Join(problems...))
}

func (s search) fits(b binaries) bool {
	if s.major != 0 {
		return b.major == s.major
	}
	return b.major >= MinMajor
}

func (s search) mismatch(found []string) error {
	if len(found) == 0 {
		found = []string{"none"}
	}
	return fmt.Errorf("%w: %s holds data of PostgreSQL %d, which only version %[3]d can serve; found: %[4]s; "+
		"install it (apt-get install postgresql-%[3]d, or brew install postgresql@%[3]d), or give another data directory",
		ErrVersion, s.dataDir, s.major, strings.Join(found, ", "))
}

// installed lists the directories to look in, in order.
func (s search) installed() []string {
	var dirs []string
	if path, err := exec.LookPath("postgres"); err == nil {
		// Through the link to where initdb and the libraries are.
		if target, err := filepath.EvalSymlinks(path); err == nil {
			path = target
		}
		dirs = append(dirs, filepath.Dir(path))
	}
	for _, glob := range s.places {
		found, err := filepath.Glob(glob)
		if err != nil {
			continue // a bad pattern: the test of this list would have failed
		}
		slices.SortFunc(found, func(a, b string) int { return cmp.Compare(numberIn(b), numberIn(a)) })
		dirs = append(dirs, found...)
	}
	return slices.Compact(dirs)
}

var digits = regexp.MustCompile(`\d+`)

// numberIn returns the last number in path, which is the version in all places.
func numberIn(path string) int {
	all := digits.FindAllString(path, -1)
	if len(all) == 0 {
		return 0
	}
	n, err := strconv.Atoi(all[len(all)-1])
	if err != nil {
		return 0
	}
	return n
}

var versionLine = regexp.MustCompile(`PostgreSQL\) ((\d+)\S*)`)

// inspect asks the programs in dir for their version, as the user who is to run
// them, so that programs out of that user's reach do not count.
func (s search) inspect(ctx context.Context, dir string) (binaries, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return binaries{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	b := binaries{dir: dir}
	for _, name := range []string{"initdb", "postgres"} {
		out, err := s.account.command(ctx, "/", b.program(name), "--version").CombinedOutput()
		if err != nil {
			return binaries{}, fmt.Errorf("%s --version: %w %s", b.program(name), err, lastLines(string(out), 1))
		}
		m := versionLine.FindStringSubmatch(string(out))
		if m == nil {
			return binaries{}, fmt.Errorf("%s --version says %q", b.program(name), lastLines(string(out), 1))
		}
		if b.major, err = strconv.Atoi(m[2]); err != nil {
			return binaries{}, err
		}
		b.version = m[1]
	}
	return b, nil
}
