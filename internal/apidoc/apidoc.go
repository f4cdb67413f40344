package apidoc

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"

	"fairlead/internal/httpx"
)

//go:embed assets
var assets embed.FS

// JSON gives the OpenAPI 3.1 document of an API, the same bytes each time.
func JSON(api huma.API) ([]byte, error) {
	b, err := json.Marshal(api.OpenAPI())
	if err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, fmt.Errorf("openapi: %w", err)
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

// YAML gives the same document as YAML.
func YAML(api huma.API) ([]byte, error) { return api.OpenAPI().YAML() }

// JSON30 gives it downgraded to OpenAPI 3.0, for generators that know no 3.1.
func JSON30(api huma.API) ([]byte, error) { return api.OpenAPI().Downgrade() }

// Mount adds /openapi.json, /openapi.yaml, /docs/api, /docs/errors and the pages to a
// server. Operations registered later are in the document too, as long as they
// are registered before its first request. At the foot of the manual's pages
// who is signed in is asked whether it helps; helpful is where the answer goes,
// "" asks nobody.
func Mount(s *httpx.Server, helpful string) {
	m := &manual{server: s, helpful: helpful}
	s.Handle("GET /openapi.json", lazily("application/json", func() ([]byte, error) { return JSON(s.API()) }))
	s.Handle("GET /openapi.yaml", lazily("application/yaml", func() ([]byte, error) { return YAML(s.API()) }))
	s.Handle("GET /docs/api", http.HandlerFunc(reference))
	s.Handle("GET /docs/assets/{name}", http.HandlerFunc(asset))
	s.Handle("GET /docs/errors", http.HandlerFunc(m.errorIndex))
	s.Handle("GET /docs/{page}", http.HandlerFunc(m.page))
	s.Handle("GET /docs/pictures/{name}", http.HandlerFunc(m.picture))
	s.Handle("GET /docs/errors/{code}", http.HandlerFunc(m.errorPage))
}

// lazily serves what is made once, at the first request.
func lazily(contentType string, build func() ([]byte, error)) http.Handler {
	once := sync.OnceValues(func() (*file, error) {
		b, err := build()
		if err != nil {
			return nil, err
		}
		return newFile(contentType, b)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := once()
		if err != nil {
			panic(err) // a document that cannot be marshalled is a defect; the chain answers and logs
		}
		f.serve(w, r)
	})
}

// file is content with both its encodings.
type file struct {
	contentType string
	etag        string
	plain       []byte
	zipped      []byte
}

func newFile(contentType string, plain []byte) (*file, error) {
	var z bytes.Buffer
	w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return &file{contentType, tag(plain), plain, z.Bytes()}, nil
}

func tag(b []byte) string {
	sum := sha256.Sum256(b)
	return `"` + hex.EncodeToString(sum[:12]) + `"`
}

func (f *file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "no-cache") // may be kept, is asked for each time
	h.Set("ETag", f.etag)
	h.Set("Vary", "Accept-Encoding")
	if r.Header.Get("If-None-Match") == f.etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if f.zipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		_, _ = w.Write(f.zipped)
		return
	}
	_, _ = w.Write(f.plain)
}

var assetTypes = map[string]string{
	"reference.js": "text/javascript; charset=utf-8", "reference-init.js": "text/javascript; charset=utf-8", "docs.css": "text/css; charset=utf-8",
}

// assetFiles are read once; the bundle is unpacked only for the rare client
// that takes no gzip.
var assetFiles = sync.OnceValues(func() (map[string]*file, error) {
	out := map[string]*file{}
	for name, contentType := range assetTypes {
		if b, err := assets.ReadFile("assets/" + name); err == nil {
			if out[name], err = newFile(contentType, b); err != nil {
				return nil, err
			}
			continue
		}
		z, err := assets.ReadFile("assets/" + name + ".gz")
		if err != nil {
			return nil, err
		}
		out[name] = &file{contentType: contentType, etag: tag(z), zipped: z}
	}
	return out, nil
})

func asset(w http.ResponseWriter, r *http.Request) {
	files, err := assetFiles()
	if err != nil {
		panic(err) // what is embedded cannot be missing
	}
	f := files[r.PathValue("name")]
	if f == nil {
		http.NotFound(w, r)
		return
	}
	if f.plain == nil && !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		zr, err := gzip.NewReader(bytes.NewReader(f.zipped))
		if err != nil {
			panic(err)
		}
		w.Header().Set("Content-Type", f.contentType)
		_, _ = io.Copy(w, zr) //nolint:gosec // our own bundle, of known size
		return
	}
	f.serve(w, r)
}

var referencePage = template.Must(template.New("reference").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta property="csp-nonce" nonce="{{.}}" content="{{.}}">
<title>Fairlead API</title>
<link rel="icon" href="data:,">
</head>
<body>
<div id="reference"></div>
<noscript>This page needs JavaScript; the document itself is at <a href="/openapi.json">/openapi.json</a>.</noscript>
<script src="/docs/assets/reference.js"></script>
<script src="/docs/assets/reference-init.js"></script>
</body>
</html>
`))

// bundleStyles are the hashes of the small styles that the bundle adds without
// the nonce. A new version of it may need others: the browser's console says
// which. Without them things only look a little different.
const bundleStyles = "'sha256-DLlkYCuDYGe6ME23YkUFB7Tc36rGDeo4mVBFbZX3uaU=' 'sha256-rO+6k1mDRASa9Q8IQu9I3bF+bjRdxDreAZCyGSaxzeI=' " +
	"'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-ZW1GSuo0pKyEx5Ar7ZC5Dflb/mjatjeTW9aVx0iZAzE='"

// reference is the page. Its styles are made by its script: they are allowed
// by a nonce, and style attributes, which cannot carry one, by style-src-attr.
// They can change how things look here, and load nothing.
func reference(w http.ResponseWriter, _ *http.Request) {
	nonce := rand.Text()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-"+nonce+"' "+bundleStyles+"; "+
		"style-src-attr 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self' blob:; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	if err := referencePage.Execute(w, nonce); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}
