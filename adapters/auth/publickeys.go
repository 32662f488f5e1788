package auth

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// leastRSA is the size of the smallest RSA key that is believed, in bits.
const leastRSA = 2048

// fits reports whether tokens of an algorithm are verified with such a key.
func fits(key crypto.PublicKey, algorithm string) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(algorithm, "RS") || strings.HasPrefix(algorithm, "PS")
	case *ecdsa.PublicKey:
		return algorithm == map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[k.Curve.Params().Name]
	case ed25519.PublicKey:
		return algorithm == "EdDSA"
	default:
		return false
	}
}

// describe says what a key is.
func describe(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA of %d bits", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA on " + k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return fmt.Sprintf("of an unknown kind, %T", key)
	}
}

// checkKey returns an error unless the key is one that can be believed.
func checkKey(key crypto.PublicKey) error {
	switch k := key.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < leastRSA {
			return fmt.Errorf("the RSA key has %d bits, want at least %d", bits, leastRSA)
		}
		return nil
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return nil
	default:
		return fmt.Errorf("the key is %s, want RSA, ECDSA or Ed25519", describe(key))
	}
}

// parsePEM reads a public key: PKIX, PKCS #1, or that of a certificate.
func parsePEM(text []byte) (crypto.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("there is no PEM block in it, want -----BEGIN PUBLIC KEY-----")
	}
	var (
		key crypto.PublicKey
		err error
	)
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	default:
		return nil, fmt.Errorf("it holds a %s, want a PUBLIC KEY", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("the %s in it cannot be read: %w", block.Type, err)
	}
	return key, checkKey(key)
}

// Static is one key, known from the start; what tokens say of the key's id is
// not looked at.
type Static struct {
	key     crypto.PublicKey
	trouble string
}

// NewStatic returns the source of the key in a PEM text. When there is none, or
// it fits no algorithm, that is the source's Trouble.
func NewStatic(text []byte, algorithms []string) *Static {
	// Variables of the environment often have \n for the ends of lines.
	key, err := parsePEM([]byte(strings.ReplaceAll(string(text), `\n`, "\n")))
	if err == nil && !slices.ContainsFunc(algorithms, func(a string) bool { return fits(key, a) }) {
		err = fmt.Errorf("it is %s, and no such algorithm is allowed, but %s", describe(key), strings.Join(algorithms, ", "))
	}
	if err != nil {
		return &Static{trouble: "the public key for tokens is of no use: " + err.Error()}
	}
	return &Static{key: key}
}

var _ KeySource = (*Static)(nil)

// Key implements KeySource.
func (s *Static) Key(_ context.Context, _, algorithm string) (crypto.PublicKey, error) {
	switch {
	case s.key == nil:
		return nil, errors.New("no key for tokens is known here")
	case !fits(s.key, algorithm):
		return nil, errFit(s.key)
	default:
		return s.key, nil
	}
}

// Trouble implements KeySource.
func (s *Static) Trouble() string { return s.trouble }

// jwk is a key as a key set has it.
type jwk struct {
	Kty, Kid, Use, Alg, Crv string
	N, E, X, Y              string
	KeyOps                  []string `json:"key_ops"`
}

// usable returns an error unless tokens may be verified with the key.
func (j *jwk) usable(algorithms []string) error {
	switch {
	case j.Kid == "":
		return errors.New("it has no kid")
	case j.Use != "" && j.Use != "sig":
		return fmt.Errorf("its use is %q", j.Use)
	case j.KeyOps != nil && !slices.Contains(j.KeyOps, "verify"):
		return errors.New("its key_ops do not have verify")
	case j.Alg != "" && !slices.Contains(algorithms, j.Alg):
		return fmt.Errorf("its algorithm %q is not allowed", j.Alg)
	default:
		return nil
	}
}

// public reads the key itself. Kinds other than public keys, shared secrets
// among them, are errors.
func (j *jwk) public() (crypto.PublicKey, error) {
	var broken error
	octets := func(name, text string) []byte {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
		if err == nil && len(raw) == 0 {
			err = errors.New("it is empty")
		}
		if err != nil {
			broken = fmt.Errorf("its %s: %w", name, err)
		}
		return raw
	}
	var key crypto.PublicKey
	switch j.Kty {
	case "RSA":
		n, e := octets("n", j.N), new(big.Int).SetBytes(octets("e", j.E))
		if broken == nil && (!e.IsInt64() || e.Int64() > 1<<31-1 || e.Int64() < 3 || e.Int64()%2 == 0) {
			broken = errors.New("its e is no exponent")
		}
		if broken == nil {
			key = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(e.Int64())}
		}
	case "EC":
		curve, ok := curves[j.Crv]
		if !ok {
			return nil, fmt.Errorf("its curve %q is not known", j.Crv)
		}
		x, y := octets("x", j.X), octets("y", j.Y)
		size := (curve.Params().BitSize + 7) / 8
		if broken == nil && (len(x) > size || len(y) > size) {
			broken = errors.New("its point is too long")
		}
		if broken == nil {
			point := make([]byte, 1+2*size)
			point[0] = 4
			copy(point[1+size-len(x):], x)
			copy(point[1+2*size-len(y):], y)
			key, broken = ecdsa.ParseUncompressedPublicKey(curve, point)
		}
	case "OKP":
		x := octets("x", j.X)
		if broken == nil && (j.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize) {
			broken = fmt.Errorf("it is no Ed25519 key but %q", j.Crv)
		}
		key = ed25519.PublicKey(x)
	default:
		return nil, fmt.Errorf("its kind %q is no public key", j.Kty)
	}
	if broken != nil {
		return nil, broken
	}
	return key, checkKey(key)
}
