package tlsfiles

import (
	"crypto/tls"
	"crypto/x509"
)

// Identity returns whose certificate it is: its first URI, as SPIFFE has it,
// else its first DNS name, else its common name.
func Identity(c *x509.Certificate) string {
	switch {
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	default:
		return c.Subject.CommonName
	}
}

// Peer returns the identity of the client of a connection; empty where it
// presented no certificate, or none that was verified.
func Peer(s tls.ConnectionState) string {
	if len(s.VerifiedChains) == 0 || len(s.VerifiedChains[0]) == 0 {
		return ""
	}
	return Identity(s.VerifiedChains[0][0])
}
