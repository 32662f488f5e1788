// Package tlstest makes certificates for tests.
package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Dir is an authority, and a folder with its certificate and that of a server.
type Dir struct {
	Certificate, Key, Authority string // files in PEM
	ca                          *x509.Certificate
	key                         *ecdsa.PrivateKey
}

// New returns an authority; its server has no certificate yet.
func New(t testing.TB) *Dir {
	t.Helper()
	dir := t.TempDir()
	d := &Dir{
		Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), Authority: filepath.Join(dir, "ca.crt"),
	}
	var err error
	d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	now := time.Now()
	d.ca = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, d.ca, d.ca, &d.key.PublicKey, d.key)
	require.NoError(t, err)
	d.ca, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	d.Restore(t)
	return d
}

// Restore writes the certificate of the authority.
func (d *Dir) Restore(t testing.TB) {
	t.Helper()
	write(t, d.Authority, "CERTIFICATE", d.ca.Raw)
}

// Issue writes a new certificate for the server at 127.0.0.1 and localhost, under
// a name, that runs out after a time.
func (d *Dir) Issue(t testing.TB, name string, runsOut time.Duration) {
	t.Helper()
	der, key := d.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, runsOut)
	pkcs, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	write(t, d.Certificate, "CERTIFICATE", der)
	write(t, d.Key, "PRIVATE KEY", pkcs)
}

// ClientCertificate returns a certificate for a client: its common name, and
// more names as "dns:name" or "uri:name".
func (d *Dir) ClientCertificate(t testing.TB, name string, runsOut time.Duration, more ...string) tls.Certificate {
	t.Helper()
	c := &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, m := range more {
		kind, value, _ := strings.Cut(m, ":")
		if kind == "dns" {
			c.DNSNames = append(c.DNSNames, value)
			continue
		}
		u, err := url.Parse(value)
		require.NoError(t, err)
		c.URIs = append(c.URIs, u)
	}
	der, key := d.sign(t, c, runsOut)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Client returns the configuration of a client that trusts the authority.
func (d *Dir) Client() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(d.ca)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12, ServerName: "localhost"}
}

func (d *Dir) sign(t testing.TB, c *x509.Certificate, runsOut time.Duration) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	c.NotBefore, c.NotAfter = time.Now().Add(-24*time.Hour), time.Now().Add(runsOut)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, c, d.ca, &key.PublicKey, d.key)
	require.NoError(t, err)
	return der, key
}

func write(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}
