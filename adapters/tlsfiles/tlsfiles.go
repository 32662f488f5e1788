// Package tlsfiles is TLS for a door from files on disk: a certificate with its
// key, and the authorities that client certificates have to come from. The files
// are read again while the door serves; what is in them holds from the next
// connection on. It knows nothing of what the door speaks.
package tlsfiles

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// ClientAuth is what is asked of clients.
type ClientAuth uint8

// The ways of ClientAuth. A certificate that is presented has to be good,
// whether it was asked for or required.
const (
	None    ClientAuth = iota // no certificate
	Request                   // a certificate, or none
	Require                   // a certificate
)

// Config says which files to read.
type Config struct {
	Certificate string // PEM: the certificate, then those between it and its root
	Key         string // PEM: its key
	ClientCA    string // PEM: authorities of client certificates; empty with None
	ClientAuth  ClientAuth
	Protocols   []string // what the door speaks, in order of preference: h2, http/1.1
}

// Files are the files of a door. It is safe for concurrent use.
type Files struct {
	cfg     Config
	log     *slog.Logger
	content content // what was read last, good or not; of Reload alone
	current atomic.Pointer[loaded]
}

// loaded is what was read and found good.
type loaded struct {
	tls  *tls.Config
	leaf *x509.Certificate
}

// content tells files apart without keeping them.
type content [sha256.Size]byte

// Open reads the files. The error says which of them is to blame, and never what
// is in it. A certificate that has run out is served, with a warning: a server
// that does not start helps nobody.
func Open(cfg Config, log *slog.Logger) (*Files, error) {
	f := &Files{cfg: cfg, log: log}
	got, sum, err := f.load()
	if err != nil {
		return nil, err
	}
	f.content = sum
	f.current.Store(got)
	if err := inForce(got.leaf, time.Now()); err != nil {
		log.Warn("clients will refuse the certificate of this server", "file", cfg.Certificate, "reason", err.Error())
	}
	return f, nil
}

// TLS returns the configuration of a listener. Each connection gets what was
// loaded last; those that exist stay as they are.
func (f *Files) TLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: f.cfg.Protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return f.current.Load().tls, nil
		},
	}
}

// NotAfter returns when the certificate in use runs out.
func (f *Files) NotAfter() time.Time { return f.current.Load().leaf.NotAfter }

// Run looks at the files every so often until ctx ends, then returns nil. They
// are compared by content: mounted secrets are swapped by links, and times of
// files are coarse.
func (f *Files) Run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			f.Reload()
		}
	}
}

// Reload reads the files, and uses them if they have changed and are good.
// Otherwise those in use stay, and the log says why, once for each content. Not
// to be called twice at once.
func (f *Files) Reload() {
	got, sum, err := f.load()
	if sum == f.content {
		return
	}
	f.content = sum
	if err == nil {
		err = inForce(got.leaf, time.Now())
	}
	if err != nil {
		f.log.Error("the new certificate is not used, the one before it stays", "reason", err.Error())
		return
	}
	f.current.Store(got)
	f.log.Info("the certificate was loaded anew", "file", f.cfg.Certificate, "subject", Identity(got.leaf), "not_after", got.leaf.NotAfter)
}

// load reads and checks the files. What it returns beside an error tells the
// files apart all the same.
func (f *Files) load() (*loaded, content, error) {
	sum := sha256.New()
	read := func(path string) ([]byte, error) {
		b, err := os.ReadFile(path) //nolint:gosec // G304: the file that the operator named
		if err != nil {
			err = fmt.Errorf("TLS: %w", err)
			b = []byte(err.Error())
		}
		length := len(b)
		_, _ = fmt.Fprintf(sum, "%d:", length) // a hash takes everything
		_, _ = sum.Write(b)
		return b, err
	}
	cert, errCert := read(f.cfg.Certificate)
	key, errKey := read(f.cfg.Key)
	var ca []byte
	var errCA error
	if f.cfg.ClientAuth != None {
		ca, errCA = read(f.cfg.ClientCA)
	}
	now := content(sum.Sum(nil))
	if err := errors.Join(errCert, errKey, errCA); err != nil {
		return nil, now, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, now, fmt.Errorf("TLS: certificate %s with key %s: %w", f.cfg.Certificate, f.cfg.Key, err)
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: f.cfg.Protocols, Certificates: []tls.Certificate{pair}}
	if f.cfg.ClientAuth != None {
		c.ClientAuth = tls.VerifyClientCertIfGiven
		if f.cfg.ClientAuth == Require {
			c.ClientAuth = tls.RequireAndVerifyClientCert
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(ca) {
			return nil, now, fmt.Errorf("TLS: %s has no certificate in PEM, want those of the authorities of clients", f.cfg.ClientCA)
		}
		// A session that is resumed was checked against the authorities of its
		// day; one that was taken away counts at once.
		c.SessionTicketsDisabled = true
	}
	return &loaded{tls: c, leaf: pair.Leaf}, now, nil
}

func inForce(leaf *x509.Certificate, now time.Time) error {
	switch {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("it ran out on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("it counts from %s on", leaf.NotBefore.UTC().Format(time.RFC3339))
	default:
		return nil
	}
}
