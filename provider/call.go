package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"fairlead/internal/apiclient"
)

const maxReply = 64 << 20

// read takes an answer's JSON body and its ETag. It is made to wrap a call of
// the generated client.
func read[T any](resp *http.Response, err error) (out T, tag string, _ error) {
	if err != nil {
		return out, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	dec := json.NewDecoder(io.LimitReader(resp.Body, maxReply))
	dec.UseNumber() // inputs and outputs keep every digit
	if err := dec.Decode(&out); err != nil {
		return out, "", errors.New("the server's answer cannot be read: is it of the provider's version?")
	}
	return out, resp.Header.Get("ETag"), nil
}

// done is for an answer whose body does not matter.
func done(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	return resp.Body.Close()
}

// gone tells whether the server has no such thing, or none that we may know of.
func gone(err error) bool {
	e, ok := errors.AsType[*apiclient.Error](err)
	return ok && e.Status == http.StatusNotFound
}

// told adds what the server said as diagnostics: each violation at its
// attribute, with the code and what to do next.
func told(d *diag.Diagnostics, what string, err error) {
	e, ok := errors.AsType[*apiclient.Error](err)
	if !ok {
		d.AddError(what, err.Error())
		return
	}
	if len(e.Violations) > 0 {
		for _, v := range e.Violations {
			at(d, v.Field, what, tell(e, v.Message))
		}
		return
	}
	at(d, e.Field, what, tell(e, e.Detail))
}

func tell(e *apiclient.Error, text string) string {
	var b strings.Builder
	b.WriteString(text)
	if e.Hint != "" {
		b.WriteString("\n\nWhat to do: " + e.Hint)
	}
	b.WriteString("\n\nCode: " + e.Code)
	if e.RequestID != "" {
		b.WriteString(", request " + e.RequestID)
	}
	return b.String()
}

func at(d *diag.Diagnostics, pointer, what, text string) {
	if p, ok := attribute(pointer); ok {
		d.AddAttributeError(p, what, text)
		return
	}
	d.AddError(what, text)
}

// attribute turns a JSON pointer of a request into an attribute's path. What is
// below inputs is one value of any form to the program, which shows all of it.
func attribute(pointer string) (path.Path, bool) {
	steps := strings.Split(strings.TrimPrefix(pointer, "/"), "/")
	if !strings.HasPrefix(pointer, "/") || steps[0] == "" {
		return path.Path{}, false
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	name := map[string]string{"templateVersion": "version"}[steps[0]]
	if name == "" {
		name = unescape.Replace(steps[0])
	}
	switch name {
	case "name", "team", "title", "project", "environment", "class", "template", "version", "note", "scopes", "lease":
		return path.Root(name), true
	case "inputs":
		return path.Root("inputs"), true
	case "attributes":
		if len(steps) > 1 {
			return path.Root(name).AtMapKey(unescape.Replace(steps[1])), true
		}
		return path.Root(name), true
	}
	return path.Path{}, false
}

// some gives nil for what is empty: the server's default.
func some(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// split takes an import's id apart.
func split(id string, parts int) ([]string, error) {
	list := strings.Split(id, "/")
	if len(list) != parts {
		return nil, errors.New("the id to import has " + strconv.Itoa(parts) + " parts with / between them")
	}
	for _, p := range list {
		if p == "" {
			return nil, errors.New("a part of the id to import is empty")
		}
	}
	return list, nil
}
