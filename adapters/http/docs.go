package http

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page
	"encoding/base64"
	"fmt"
	"net/http"
)

// The page is one document without any outside part, so that it opens where
// nothing else can be reached. It reads the OpenAPI document beside it.
var (
	//go:embed docs/page.html
	pageHTML []byte
	//go:embed docs/page.css
	pageCSS []byte
	//go:embed docs/page.js
	pageJS []byte
)

func registerDocs(a *api) error {
	policy := fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; connect-src 'self'; img-src data:; "+
		"frame-ancestors 'none'; base-uri 'none'; form-action 'none'", digest(pageCSS), digest(pageJS))
	page := bytes.ReplaceAll(pageHTML, []byte("/*page.css*/"), pageCSS)
	page = bytes.ReplaceAll(page, []byte("/*page.js*/"), pageJS)
	html := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = w.Write(page) // where it cannot be written, nobody is there to be told
	}
	register(a, getDocs, serve(http.HandlerFunc(html)))
	register(a, getDocsUI, serve(http.HandlerFunc(html)))

	var document []byte // complete once all routes are registered, which is here
	openapi := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document) // as above
	}
	register(a, getOpenAPI, serve(http.HandlerFunc(openapi)))
	register(a, getOpenAPIRoot, serve(http.HandlerFunc(openapi)))
	var err error
	document, err = a.document()
	return err
}

// digest names a part of the page for its content security policy.
func digest(part []byte) string {
	sum := sha256.Sum256(part)
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}
