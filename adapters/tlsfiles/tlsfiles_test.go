package tlsfiles_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tasker-go/tasker/adapters/tlsfiles"
	"github.com/tasker-go/tasker/adapters/tlsfiles/tlstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server that says back what it is told.
type echo struct {
	t     *testing.T
	files *tlsfiles.Files
	dir   *tlstest.Dir
	addr  string
	log   *bytes.Buffer
	peers chan string
}

func serve(t *testing.T, auth tlsfiles.ClientAuth) *echo {
	t.Helper()
	e := &echo{t: t, dir: tlstest.New(t), log: &bytes.Buffer{}, peers: make(chan string, 8)}
	e.dir.Issue(t, "first", time.Hour)
	var err error
	e.files, err = tlsfiles.Open(e.config(auth), slog.New(slog.NewTextHandler(e.log, nil)))
	require.NoError(t, err)
	l, err := tls.Listen("tcp", "127.0.0.1:0", e.files.TLS())
	require.NoError(t, err)
	e.addr = l.Addr().String()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = c.Close() }()
				secure, _ := c.(*tls.Conn)
				if secure.HandshakeContext(t.Context()) == nil {
					e.peers <- tlsfiles.Peer(secure.ConnectionState())
				}
				_, _ = io.Copy(c, c)
			})
		}
	})
	t.Cleanup(func() { require.NoError(t, l.Close()); all.Wait() })
	return e
}

func (e *echo) config(auth tlsfiles.ClientAuth) tlsfiles.Config {
	return tlsfiles.Config{
		Certificate: e.dir.Certificate, Key: e.dir.Key, ClientCA: e.dir.Authority, ClientAuth: auth,
		Protocols: []string{"h2", "http/1.1"},
	}
}

// dial connects and says something; the error is that of either. A client learns
// only when it reads that its certificate was refused.
func (e *echo) dial(c *tls.Config) (*tls.Conn, error) {
	d := tls.Dialer{Config: c}
	conn, err := d.DialContext(e.t.Context(), "tcp", e.addr)
	if err != nil {
		return nil, err
	}
	e.t.Cleanup(func() { _ = conn.Close() })
	secure, _ := conn.(*tls.Conn)
	return secure, say(secure)
}

func say(conn net.Conn) error {
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 1))
	return err
}

func shown(conn *tls.Conn) string {
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

func TestNewConnectionsGetTheNewCertificate(t *testing.T) {
	t.Parallel()
	e := serve(t, tlsfiles.None)
	before, err := e.dial(e.dir.Client())
	require.NoError(t, err)
	require.Equal(t, "first", shown(before))
	require.Equal(t, "h2", func() string {
		c := e.dir.Client()
		c.NextProtos = []string{"h2"}
		conn, err := e.dial(c)
		require.NoError(t, err)
		return conn.ConnectionState().NegotiatedProtocol
	}())

	e.dir.Issue(t, "second", 2*time.Hour)
	e.files.Reload()
	after, err := e.dial(e.dir.Client())
	require.NoError(t, err)
	require.Equal(t, "second", shown(after))
	require.NoError(t, say(before), "the connection that was there lives on")
	require.InDelta(t, 2*time.Hour, time.Until(e.files.NotAfter()), float64(time.Minute))
	require.Contains(t, e.log.String(), "loaded anew")

	e.log.Reset()
	e.files.Reload()
	require.Empty(t, e.log.String(), "nothing has changed")
}

func TestWhatIsBrokenIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(*testing.T, *tlstest.Dir){
		"no PEM":       func(t *testing.T, d *tlstest.Dir) { write(t, d.Certificate, "nonsense") },
		"half a file":  func(t *testing.T, d *tlstest.Dir) { write(t, d.Certificate, read(t, d.Certificate)[:100]) },
		"an empty key": func(t *testing.T, d *tlstest.Dir) { write(t, d.Key, "") },
		"no file":      func(t *testing.T, d *tlstest.Dir) { require.NoError(t, os.Remove(d.Key)) },
		"no authority": func(t *testing.T, d *tlstest.Dir) { write(t, d.Authority, "nonsense") },
		"it ran out":   func(t *testing.T, d *tlstest.Dir) { d.Issue(t, "old", -time.Minute) },
		"the key of others": func(t *testing.T, d *tlstest.Dir) {
			key := read(t, d.Key)
			d.Issue(t, "next", time.Hour)
			write(t, d.Key, key)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, tlsfiles.Request)
			client := e.dir.Client()
			broken(t, e.dir)
			e.files.Reload()
			e.files.Reload()
			require.Equal(t, 1, strings.Count(e.log.String(), "is not used"), "said once: %s", e.log)
			require.NotContains(t, e.log.String(), "PRIVATE")
			conn, err := e.dial(client)
			require.NoError(t, err)
			require.Equal(t, "first", shown(conn))

			e.dir.Restore(t)
			e.dir.Issue(t, "mended", time.Hour)
			e.files.Reload()
			conn, err = e.dial(client)
			require.NoError(t, err)
			require.Equal(t, "mended", shown(conn))
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(b)
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	stranger := tlstest.New(t)
	for name, c := range map[string]struct {
		auth    tlsfiles.ClientAuth
		present func(*testing.T, *tlstest.Dir) []tls.Certificate
		refused bool
		who     string
	}{
		"not asked for":              {tlsfiles.None, named("a"), false, ""},
		"asked for, none":            {tlsfiles.Request, nil, false, ""},
		"asked for":                  {tlsfiles.Request, named("a"), false, "a"},
		"asked for, of a stranger":   {tlsfiles.Request, of(stranger), true, ""},
		"asked for, run out":         {tlsfiles.Request, old, true, ""},
		"required, none":             {tlsfiles.Require, nil, true, ""},
		"required":                   {tlsfiles.Require, named("a"), false, "a"},
		"required, with a DNS name":  {tlsfiles.Require, named("a", "dns:worker.example"), false, "worker.example"},
		"required, with a URI":       {tlsfiles.Require, named("a", "dns:worker.example", "uri:spiffe://x/y"), false, "spiffe://x/y"},
		"required, of a stranger":    {tlsfiles.Require, of(stranger), true, ""},
		"required, of a server":      {tlsfiles.Require, server, true, ""},
		"required, nobody's in name": {tlsfiles.Require, named(""), false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := serve(t, c.auth)
			client := e.dir.Client()
			if c.present != nil {
				// Presented even where the server would not take it.
				cert := c.present(t, e.dir)[0]
				client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
			}
			_, err := e.dial(client)
			if c.refused {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.who, <-e.peers)
		})
	}
}

func named(name string, more ...string) func(*testing.T, *tlstest.Dir) []tls.Certificate {
	return func(t *testing.T, d *tlstest.Dir) []tls.Certificate {
		t.Helper()
		return []tls.Certificate{d.ClientCertificate(t, name, time.Hour, more...)}
	}
}

func of(stranger *tlstest.Dir) func(*testing.T, *tlstest.Dir) []tls.Certificate {
	return func(t *testing.T, _ *tlstest.Dir) []tls.Certificate {
		t.Helper()
		return []tls.Certificate{stranger.ClientCertificate(t, "a", time.Hour)}
	}
}

func old(t *testing.T, d *tlstest.Dir) []tls.Certificate {
	t.Helper()
	return []tls.Certificate{d.ClientCertificate(t, "a", -time.Minute)}
}

func server(t *testing.T, d *tlstest.Dir) []tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(d.Certificate, d.Key)
	require.NoError(t, err)
	return []tls.Certificate{cert}
}

// An authority that is taken away counts at once, for sessions that could be
// resumed too.
func TestAnAuthorityCanBeTakenAway(t *testing.T) {
	t.Parallel()
	e := serve(t, tlsfiles.Require)
	client := e.dir.Client()
	client.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	client.Certificates = []tls.Certificate{e.dir.ClientCertificate(t, "a", time.Hour)}
	for range 2 {
		conn, err := e.dial(client)
		require.NoError(t, err)
		require.False(t, conn.ConnectionState().DidResume)
	}
	write(t, e.dir.Authority, read(t, tlstest.New(t).Authority))
	e.files.Reload()
	_, err := e.dial(client)
	require.Error(t, err)
}

func TestOldVersionsAreRefused(t *testing.T) {
	t.Parallel()
	e := serve(t, tlsfiles.None)
	for version, ok := range map[uint16]bool{tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		c := e.dir.Client()
		c.MinVersion, c.MaxVersion = version, version
		_, err := e.dial(c)
		if ok {
			require.NoError(t, err, tls.VersionName(version))
		} else {
			require.ErrorContains(t, err, "protocol version", tls.VersionName(version))
		}
	}
}

func TestOpenSaysWhichFileIsToBlame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*testing.T, *tlstest.Dir)
		want   func(*tlstest.Dir) string
	}{
		"no certificate": {func(t *testing.T, d *tlstest.Dir) { require.NoError(t, os.Remove(d.Certificate)) }, func(d *tlstest.Dir) string { return d.Certificate }},
		"no key":         {func(t *testing.T, d *tlstest.Dir) { require.NoError(t, os.Remove(d.Key)) }, func(d *tlstest.Dir) string { return d.Key }},
		"a bad key":      {func(t *testing.T, d *tlstest.Dir) { write(t, d.Key, "PRIVATE") }, func(d *tlstest.Dir) string { return d.Key }},
		"no authority":   {func(t *testing.T, d *tlstest.Dir) { write(t, d.Authority, "") }, func(d *tlstest.Dir) string { return d.Authority }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &echo{t: t, dir: tlstest.New(t)}
			e.dir.Issue(t, "first", time.Hour)
			c.change(t, e.dir)
			_, err := tlsfiles.Open(e.config(tlsfiles.Require), slog.New(slog.DiscardHandler))
			require.ErrorContains(t, err, c.want(e.dir))
			require.NotContains(t, err.Error(), "PRIVATE")
		})
	}
}

// A server whose certificate has run out starts: who looks after it can reach it.
func TestOpenWarnsOfACertificateThatRanOut(t *testing.T) {
	t.Parallel()
	e := &echo{t: t, dir: tlstest.New(t)}
	e.dir.Issue(t, "first", -time.Hour)
	var log bytes.Buffer
	_, err := tlsfiles.Open(e.config(tlsfiles.None), slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	require.Contains(t, log.String(), "level=WARN")
	require.Contains(t, log.String(), "it ran out on")
}

func TestRunLooksAgainAndAgain(t *testing.T) {
	t.Parallel()
	dir := tlstest.New(t)
	synctest.Test(t, func(t *testing.T) {
		dir.Issue(t, "first", time.Hour)
		files, err := tlsfiles.Open(tlsfiles.Config{Certificate: dir.Certificate, Key: dir.Key}, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- files.Run(ctx, 5*time.Second) }()
		dir.Issue(t, "second", 3*time.Hour)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		require.Less(t, time.Until(files.NotAfter()), time.Hour+time.Minute)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		require.Greater(t, time.Until(files.NotAfter()), 2*time.Hour)
		cancel()
		require.NoError(t, <-done)
	})
}

func TestPeerOfAnUnverifiedCertificateIsNobody(t *testing.T) {
	t.Parallel()
	require.Empty(t, tlsfiles.Peer(tls.ConnectionState{PeerCertificates: []*x509.Certificate{{DNSNames: []string{"x"}}}}))
}
