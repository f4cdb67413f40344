package iac

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"fairlead/internal/engine"
	"fairlead/internal/fault"
)

const (
	variablesFile = "zz_fairlead.auto.tfvars.json" // the last that the program reads by itself, so it counts
	stateFile     = "terraform.tfstate"
	veiledFile    = "state-without-secrets.json" // under a name that the program does not read
	localBackend  = "# Written by Fairlead: the state is a file beside this one. Replace this to keep it elsewhere.\n" +
		"terraform {\n  backend \"local\" {\n    path = \"" + stateFile + "\"\n  }\n}\n"
)

// Eject implements engine.Ejector: the module as it is, with a local state. It
// needs no program.
func (e *Engine) Eject(ctx context.Context, req engine.Request, reveal bool) (_ []engine.File, err error) {
	defer settle(ctx, &err)
	sp, err := readSpec(req.Template)
	if err != nil {
		return nil, err
	}
	module, digest, err := moduleFiles(req.Template.Files)
	if err != nil {
		return nil, err
	}
	vars, err := sp.variables(req.Inputs)
	if err != nil {
		return nil, fault.From(err)
	}
	body, meta, err := e.o.States.Read(ctx, req.Ref.ID)
	if err != nil {
		return nil, err
	}
	if body == nil {
		return nil, fault.New(fault.Conflict, "resource_lost", "the resource's state is gone").
			WithHint("restore the store from a backup; without the state nobody knows what belongs to the module")
	}
	var out []engine.File
	locked := false
	for _, f := range module {
		name := f.path
		if name == "README.md" {
			name = "README-of-the-module.md"
		}
		locked = locked || name == lockFile
		out = append(out, engine.File{Path: name, Data: f.data})
	}
	if !locked {
		lock, err := e.hashes(ctx, digest)
		if err != nil {
			return nil, err
		}
		if locked = lock != ""; locked {
			out = append(out, engine.File{Path: lockFile, Data: []byte(lock)})
		}
	}
	state := engine.File{Path: stateFile, Data: body}
	if !reveal {
		if state.Data, err = withoutSecrets(body); err != nil {
			return nil, err
		}
		state.Path = veiledFile
	}
	return append(out, state,
		engine.File{Path: variablesFile, Data: append(vars, '\n')},
		engine.File{Path: overrideFile, Data: []byte(localBackend)},
		engine.File{Path: "README.md", Data: []byte(e.readme(req, sp, meta.Objects, locked, reveal))}), nil
}

// hashes are the provider hashes that were noted for a module without a lock
// file of its own; "" when this server cannot tell.
func (e *Engine) hashes(ctx context.Context, digest string) (string, error) {
	if err := e.ready(ctx); err != nil {
		return "", ctx.Err() // no program: nothing to look for
	}
	return e.o.States.LockFile(ctx, e.moduleID(digest))
}

// withoutSecrets gives what a state names, and no attribute: which of them are
// secret is known to the providers, not always to the state.
func withoutSecrets(body []byte) ([]byte, error) {
	type instance struct {
		Index any    `json:"index_key,omitempty"`
		ID    string `json:"id,omitempty"`
	}
	type object struct {
		Module    string     `json:"module,omitempty"`
		Type      string     `json:"type"`
		Name      string     `json:"name"`
		Instances []instance `json:"instances"`
	}
	s, err := parseState(body)
	if err != nil {
		return nil, err
	}
	out := struct {
		Lineage string         `json:"lineage"`
		Serial  int64          `json:"serial"`
		Outputs map[string]any `json:"outputs"`
		Objects []object       `json:"objects"`
	}{s.Lineage, s.Serial, map[string]any{}, []object{}}
	for name, o := range s.Outputs {
		if !o.Sensitive {
			out.Outputs[name] = o.Value
		}
	}
	for _, r := range s.Resources {
		if r.Mode != "managed" {
			continue
		}
		o := object{Module: r.Module, Type: r.Type, Name: r.Name}
		for _, i := range r.Instances {
			var attributes struct {
				ID any `json:"id"`
			}
			_ = json.Unmarshal(i.Attributes, &attributes) // then it has no id
			seen := instance{Index: i.Index}
			if id, ok := attributes.ID.(string); ok && !s.sensitive(i.Sensitive, "id") {
				seen.ID = id
			}
			o.Instances = append(o.Instances, seen)
		}
		out.Objects = append(out.Objects, o)
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return nil, fault.From(err)
	}
	return append(text, '\n'), nil
}

func (e *Engine) readme(req engine.Request, sp spec, objects int64, locked, reveal bool) string {
	e.mu.Lock()
	program, version := e.kind, e.version
	e.mu.Unlock()
	if program == "" {
		program, version = "tofu", "1.8 or newer"
	}
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# %s, without Fairlead\n", req.Ref.Name)
	say("The module of template %s %s, as Fairlead applied it for %s/%s (%s): %d objects.\n",
		req.Template.Name, req.Template.Version, req.Ref.Project, req.Ref.Environment, req.Ref.ID, objects)
	say("| File | What it is |\n|---|---|")
	say("| `%s` | the variables that it was applied with |", variablesFile)
	if reveal {
		say("| `%s` | the state. **It holds secrets in the clear**: keep it as you keep passwords |", stateFile)
	} else {
		say("| `%s` | what the state names; **no state** |", veiledFile)
	}
	say("| `%s` | keeps the state in this folder; replace it to keep the state elsewhere |", overrideFile)
	if locked {
		say("| `%s` | the versions and hashes of the providers |", lockFile)
	}
	say("| all else | the module, unchanged |\n")
	if !reveal {
		say("## What is missing\n\nSecrets were not asked for: there is no state here, and secret variables are shown as a mask. **Do not apply this folder**: "+
			"without the state everything would be made a second time. Get the whole with\n\n    fairlead eject %s -e %s/%s --reveal\n", req.Ref.Name, req.Ref.Project, req.Ref.Environment)
	}
	if len(sp.Given) > 0 {
		say("## What the platform team gives\n\nThe module has these variables from the server's configuration, and they are not in this folder. Set each before you go on:\n")
		for _, name := range sp.Given {
			say("    export TF_VAR_%s=…", name)
		}
		say("")
	}
	say("## Go on\n\nWith %s %s, the program that applied it last:\n", program, version)
	say("    %s init\n    %s plan\n", program, program)
	say("The plan says that nothing changes. From then on `%s apply` and `%s destroy` do what they always do.\n", program, program)
	if e.o.Config.Mirror != "" {
		say("The server took its providers from a folder of its own (`engines.iac.mirror`). Those that no registry has need the same folder:\n")
		say("    cat > mirror.tfrc <<'END'\n    provider_installation {\n      filesystem_mirror {\n        path    = \"/path/to/the/mirror\"\n        include = [\"*/*/*\"]\n      }\n    }\n    END\n    export TF_CLI_CONFIG_FILE=$PWD/mirror.tfrc\n")
	}
	say("## Who manages it\n\nAs long as Fairlead does, it goes on applying its own state: change things in one place only. Fairlead lets go of the resource, and touches nothing of it, with\n\n    fairlead eject %s -e %s/%s --reveal --release\n", req.Ref.Name, req.Ref.Project, req.Ref.Environment)
	say("The way back is `fairlead adopt %s %s -e %s/%s --state %s`.", req.Template.Name, req.Ref.Name, req.Ref.Project, req.Ref.Environment, stateFile)
	return b.String()
}

// Release implements engine.Ejector: the state is forgotten, and nothing else
// happens.
func (e *Engine) Release(ctx context.Context, req engine.Request) (err error) {
	defer settle(ctx, &err)
	session, err := e.begin(ctx, req)
	if err != nil {
		return err
	}
	defer e.end(ctx, session)
	e.hit("iac.release.before")
	err = session.LetGo(ctx)
	e.hit("iac.release.after")
	return err
}
