package embeddedpg

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

const (
	socketPort = 5432 // names the socket file; nothing listens on TCP
	// A socket's path is limited to 103 bytes on macOS and 107 on Linux, of which
	// the file's own name takes 17.
	maxSocketDir = 84
)

// plain paths mean the same in PostgreSQL's settings and in connection strings,
// where a comma, say, makes two hosts.
var plain = regexp.MustCompile(`^[A-Za-z0-9/._@-]+$`)

// endpoint is the one door of a PostgreSQL: a socket directory, or a port on
// the loopback.
type endpoint struct {
	socketDir string // empty: TCP
	port      int
	password  string // TCP only
	temporary bool   // the socket directory is not beside the data
}

// chooseEndpoint makes the door for a postmaster on dataDir.
func chooseEndpoint(dataDir string, a account) (endpoint, error) {
	sum := sha256.Sum256([]byte(dataDir))
	short := filepath.Join(os.TempDir(), fmt.Sprintf("tasker-%d-%s", a.uid, hex.EncodeToString(sum[:6])))
	for _, dir := range []string{dataDir + ".run", short} {
		if len(dir) > maxSocketDir || !plain.MatchString(dir) || a.privateDir(dir) != nil || !socketsWork(dir) {
			continue
		}
		return endpoint{socketDir: dir, port: socketPort, temporary: dir == short}, nil
	}
	password, err := readPassword(dataDir)
	if err != nil {
		return endpoint{}, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // no wait
	if err != nil {
		return endpoint{}, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // of a TCP listener
	return endpoint{port: port, password: password}, l.Close()
}

// socketsWork reports whether the file system of dir has sockets at all, which
// some shared folders of virtual machines have not.
func socketsWork(dir string) bool {
	probe := filepath.Join(dir, ".probe")
	l, err := net.Listen("unix", probe) //nolint:noctx // no wait
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// arguments are the settings that open this door and no other.
func (e endpoint) arguments() map[string]string {
	if e.socketDir == "" {
		return map[string]string{
			"listen_addresses":        "127.0.0.1",
			"unix_socket_directories": "",
			"port":                    strconv.Itoa(e.port),
		}
	}
	return map[string]string{
		"listen_addresses":        "",
		"unix_socket_directories": e.socketDir,
		"unix_socket_permissions": "0700",
		"port":                    strconv.Itoa(e.port),
	}
}

// clear removes socket files of a postmaster that is no more. Only the holder of
// the data directory's lock may do that, after a look at the process.
func (e endpoint) clear() error {
	if e.socketDir == "" {
		return nil
	}
	file := filepath.Join(e.socketDir, ".s.PGSQL."+strconv.Itoa(e.port))
	return errors.Join(removeIfThere(file), removeIfThere(file+".lock"))
}

// remove deletes the socket directory if nothing is in it.
func (e endpoint) remove() {
	_ = os.Remove(e.socketDir) // a leftover in the temporary directory harms nobody
}

func (e endpoint) url(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(roleName), Path: "/" + database}
	q := url.Values{"sslmode": {"disable"}}
	if e.socketDir != "" {
		q.Set("host", e.socketDir)
		q.Set("port", strconv.Itoa(e.port))
	} else {
		u.User = url.UserPassword(roleName, e.password)
		u.Host = net.JoinHostPort("127.0.0.1", strconv.Itoa(e.port))
	}
	u.RawQuery = q.Encode()
	return u.String()
}
