package auth

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"
)

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

const (
	fetchTime  = 10 * time.Second // for one answer of whoever publishes keys
	fetchGap   = 10 * time.Second // between two attempts, whoever asks for them
	fetchRetry = 30 * time.Second // until the next attempt after one that failed
	maxAnswer  = 1 << 20          // bytes
)

// RemoteConfig says where keys are published, and how long they are believed.
type RemoteConfig struct {
	URL          string        // of the key set; empty when Issuer tells
	Issuer       string        // whose OpenID configuration tells; empty when URL is given
	Refresh      time.Duration // how often the set is read anew
	MaxStale     time.Duration // how much longer it is used while it cannot be
	AllowHTTP    bool          // not only https
	AllowPrivate bool          // also on this machine and in private networks
	Algorithms   []string
	Now          func() time.Time
}

// Remote is a key set (JWKS) that is published somewhere. Keys with an id that
// is not known have it read anew, at most once in ten seconds.
type Remote struct {
	cfg    RemoteConfig
	client *http.Client
	log    *slog.Logger

	mu       sync.Mutex
	set      map[string]published // by id; nil before the first answer
	read     time.Time            // when it was
	tried    time.Time            // when it was last asked for
	err      error                // what came of that
	fetching chan struct{}        // closed when the attempt that is under way ends; nil for none
}

type published struct {
	key       crypto.PublicKey
	algorithm string // the only one it is for; empty for all that fit
}

var _ KeySource = (*Remote)(nil)

// NewRemote returns the source of published keys. It asks for nothing yet.
func NewRemote(cfg RemoteConfig, log *slog.Logger) *Remote {
	g := guard{http: cfg.AllowHTTP, private: cfg.AllowPrivate}
	return &Remote{cfg: cfg, log: log, client: &http.Client{
		Timeout:       fetchTime,
		Transport:     &http.Transport{DialContext: (&net.Dialer{Control: g.dial}).DialContext, ForceAttemptHTTP2: true, MaxIdleConns: 1},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// CheckAddress returns an error if keys may not be read from an address,
// whatever it resolves to.
func CheckAddress(address string, allowHTTP, allowPrivate bool) error {
	return guard{http: allowHTTP, private: allowPrivate}.address(address)
}

// Run keeps the set fresh until ctx ends, and then returns nil.
func (r *Remote) Run(ctx context.Context) error {
	for {
		r.fetch(ctx)
		wait := r.cfg.Refresh
		if r.Trouble() != "" {
			wait = min(wait, fetchRetry)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			r.client.CloseIdleConnections()
			return nil
		}
	}
}

// Trouble implements KeySource.
func (r *Remote) Trouble() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err == nil:
		return ""
	case r.believed():
		return "the keys for tokens cannot be read; those known are used for now"
	default:
		return "the keys for tokens cannot be read; bearer tokens are refused"
	}
}

// believed reports whether there is a set that is not too old. The caller holds
// the lock.
func (r *Remote) believed() bool {
	return r.set != nil && r.cfg.Now().Sub(r.read) <= r.cfg.Refresh+r.cfg.MaxStale
}

// lookup returns a key that is known and believed.
func (r *Remote) lookup(id string) (k published, known, believed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if believed = r.believed(); believed {
		k, known = r.set[id]
	}
	return k, known, believed
}

// Key implements KeySource.
func (r *Remote) Key(ctx context.Context, id, algorithm string) (crypto.PublicKey, error) {
	if id == "" {
		return nil, errors.New("it does not name its key: kid is missing")
	}
	k, known, believed := r.lookup(id)
	if !known {
		r.fetch(ctx)
		k, known, believed = r.lookup(id)
	}
	switch {
	case !believed:
		return nil, errors.New("the keys for tokens cannot be read at present")
	case !known:
		return nil, errors.New("its key is not among those that are published")
	case k.algorithm != "" && k.algorithm != algorithm, !fits(k.key, algorithm):
		return nil, errFit(k.key)
	default:
		return k.key, nil
	}
}

// fetch reads the set anew, unless that was tried a moment ago. It waits for an
// attempt that is under way, or until ctx ends.
func (r *Remote) fetch(ctx context.Context) {
	r.mu.Lock()
	if underway := r.fetching; underway != nil {
		r.mu.Unlock()
		select {
		case <-underway:
		case <-ctx.Done():
		}
		return
	}
	now := r.cfg.Now()
	if !r.tried.IsZero() && now.Sub(r.tried) < fetchGap {
		r.mu.Unlock()
		return
	}
	r.tried = now
	done := make(chan struct{})
	r.fetching = done
	r.mu.Unlock()

	// Others wait for this, who may be more patient.
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTime)
	defer cancel()
	set, err := r.ask(limited)

	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.log.WarnContext(ctx, "the keys for tokens cannot be read", "error", err)
	} else {
		r.set, r.read = set, now
	}
	r.err, r.fetching = err, nil
	close(done)
}

// ask reads the set from where it is published.
func (r *Remote) ask(ctx context.Context) (map[string]published, error) {
	address := r.cfg.URL
	if address == "" {
		var err error
		if address, err = r.discover(ctx); err != nil {
			return nil, err
		}
	}
	var doc struct{ Keys []json.RawMessage }
	if err := r.get(ctx, address, &doc); err != nil {
		return nil, err
	}
	set := map[string]published{}
	for i, raw := range doc.Keys {
		var j jwk
		err := json.Unmarshal(raw, &j)
		if err == nil {
			err = j.usable(r.cfg.Algorithms)
		}
		var key crypto.PublicKey
		if err == nil {
			key, err = j.public()
		}
		if err != nil {
			r.log.InfoContext(ctx, "a published key is left out", "url", address, "position", i, "kid", j.Kid, "reason", err)
			continue
		}
		set[j.Kid] = published{key: key, algorithm: j.Alg}
	}
	if len(set) == 0 {
		return nil, fmt.Errorf("none of the %d keys at %s is of use", len(doc.Keys), address)
	}
	return set, nil
}

// discover reads from the OpenID configuration of the issuer where its keys are.
func (r *Remote) discover(ctx context.Context) (string, error) {
	var doc struct {
		Issuer  string
		JWKSURI string `json:"jwks_uri"`
	}
	if err := r.get(ctx, strings.TrimSuffix(r.cfg.Issuer, "/")+"/.well-known/openid-configuration", &doc); err != nil {
		return "", err
	}
	if doc.Issuer != r.cfg.Issuer {
		return "", fmt.Errorf("the OpenID configuration is of the issuer %q, want %q", doc.Issuer, r.cfg.Issuer)
	}
	return doc.JWKSURI, nil
}

func (r *Remote) get(ctx context.Context, address string, into any) error {
	if err := CheckAddress(address, r.cfg.AllowHTTP, r.cfg.AllowPrivate); err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s, want 200 OK", address, resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = fmt.Errorf("the answer has more than %d bytes", maxAnswer)
	}
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", address, err)
	}
	return nil
}

// guard keeps keys from being read where an attacker of the configuration, or of
// a name server, would have this server look: itself and its neighbours.
type guard struct{ http, private bool }

func (g guard) address(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return errors.New("is no address of the form https://host/path")
	case u.User != nil:
		return errors.New("holds a user name")
	case u.Scheme == "http" && !g.http:
		return errors.New("is plain HTTP, so that anybody on the way could change the keys; use https")
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return g.ip(ip)
	}
	local := host == "localhost" || strings.HasSuffix(host, ".localhost")
	if host == "metadata.google.internal" || local && !g.private {
		return fmt.Errorf("is at %s, where no keys are read from", host)
	}
	return nil
}

// ip refuses addresses of this machine and of private networks, unless they are
// allowed, and always those of the link, where clouds keep their secrets.
func (g guard) ip(ip netip.Addr) error {
	ip = ip.Unmap()
	switch {
	case ip.IsUnspecified(), ip.IsLinkLocalUnicast(), ip.IsMulticast():
	case (ip.IsLoopback() || ip.IsPrivate()) && !g.private:
	default:
		return nil
	}
	return fmt.Errorf("is at %s, where no keys are read from", ip)
}

// dial sees what a name has resolved to.
func (g guard) dial(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return g.ip(at.Addr())
}
