package iac_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fairlead/internal/conf"
	"fairlead/internal/engine"
	"fairlead/internal/engine/iac"
	"fairlead/internal/engine/iac/iacstate"
	"fairlead/internal/fault"
	"fairlead/internal/secret/embedded"
	"fairlead/internal/sqldb"
)

// The test binary plays the server that is killed: it plans and applies, or
// destroys, one resource.
func TestMain(m *testing.M) {
	if dir := os.Getenv("IAC_WORKER"); dir != "" {
		if err := work(dir, os.Getenv("IAC_DO")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func work(dir, do string) error {
	ctx := context.Background()
	db, err := sqldb.Open(ctx, sqldb.Options{URL: "sqlite:" + filepath.Join(dir, "store.db")})
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	secrets, err := embedded.New(ctx, embedded.Options{DB: db, KeyDir: filepath.Join(dir, "keys")})
	if err != nil {
		return err
	}
	b := &bed{dir: dir, world: filepath.Join(dir, "world")}
	c, err := iac.ReadConfig(conf.Raw{}, dir)
	if err != nil {
		return err
	}
	c.Binary, c.Mirror = os.Getenv("IAC_BINARY"), filepath.Join(dir, "mirror")
	e, err := iac.New(iac.Options{Config: c, States: iacstate.New(iacstate.Options{DB: db, Secrets: secrets})})
	if err != nil {
		return err
	}
	defer e.Close()
	req := b.request("killed")
	req.Fenced = func(context.Context) error { return nil }
	req.Inputs["delay"] = os.Getenv("IAC_DELAY")
	req.Template = template(map[string]string{"main.tf": strings.Replace(storeModule, `  content = "size ${var.size}"`,
		"  content = \"size ${var.size}\"\n  delay = var.delay", 1) + "variable \"delay\" { type = string }\n"}, "")
	if do == "destroy" {
		if err := e.Destroy(ctx, req, engine.Discard); err != nil {
			return err
		}
		seen, err := e.Observe(ctx, []engine.Request{req})
		if err == nil && seen[0].Presence != engine.Absent {
			err = fmt.Errorf("seen: %+v", seen[0])
		}
		return err
	}
	plan, err := e.Plan(ctx, req)
	if err != nil {
		return err
	}
	res, err := e.Apply(ctx, req, plan, engine.Discard)
	if err != nil {
		return err
	}
	req.Previous = &res
	seen, err := e.Observe(ctx, []engine.Request{req})
	if err != nil {
		return err
	}
	if seen[0].Presence != engine.Present || seen[0].Err != nil {
		return fmt.Errorf("seen: %+v", seen[0])
	}
	fmt.Println(res.Outputs["key"].Secret.Reveal())
	return nil
}

// worker starts the server's part.
func (b *bed) worker(t *testing.T, do string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"IAC_WORKER=" + b.dir, "IAC_DO=" + do, "IAC_BINARY=" + b.config.Binary, "IAC_DELAY=0s", "PATH=" + os.Getenv("PATH")}, env...)
	cmd.Stderr = t.Output()
	return cmd
}

func (b *bed) whole(t *testing.T) {
	t.Helper()
	out, err := b.worker(t, "apply").Output()
	if err != nil {
		t.Fatalf("the next server: %v", err)
	}
	door, err := b.load("door-killed")
	if err != nil || door.Secret != strings.TrimSpace(string(out)) {
		t.Fatalf("the key does not open: %v", err)
	}
	if list, err := os.ReadDir(b.world); err != nil || len(list) != 2 {
		t.Fatalf("%d objects for one resource, %v", len(list), err)
	}
}

// points are all failpoints that a worker passes.
func (b *bed) points(t *testing.T, do string) []string {
	t.Helper()
	trace := filepath.Join(b.dir, "trace-"+do)
	if err := b.worker(t, do, "FAIRLEAD_FAILPOINT_TRACE="+trace).Run(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	passed, list := map[string]int{}, []string(nil)
	for line := range strings.Lines(string(text)) {
		if name := strings.TrimSpace(line); strings.HasPrefix(strings.TrimPrefix(name, "write."), "iac.") && !strings.HasPrefix(name, "iac.refresh") {
			passed[name]++
			list = append(list, name+"#"+strconv.Itoa(passed[name]))
		}
	}
	return list
}

// Whatever the moment at which the server dies, the next one makes one
// resource, and ends it whole.
func TestTheServerIsKilledAnywhere(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		applying := b.points(t, "apply")
		destroying := b.points(t, "destroy")
		if len(applying) < 14 || len(destroying) < 10 || !slices.Contains(applying, "iac.apply.before#1") {
			t.Fatalf("points: %v, %v", applying, destroying)
		}
		t.Logf("%d points of an apply, %d of a destroy", len(applying), len(destroying))
		if testing.Short() || os.Getenv("FAIRLEAD_TEST_IAC_ALL") == "" { // a sample, another one each day
			day := time.Now().YearDay()
			applying, destroying = sample(applying, 5, day), sample(destroying, 3, day)
		}
		for _, p := range applying {
			b.mustDie(t, "apply", p)
			b.whole(t)
			if err := b.worker(t, "destroy").Run(); err != nil {
				t.Fatalf("destroy after a kill at %s: %v", p, err)
			}
		}
		for _, p := range destroying {
			b.whole(t)
			b.mustDie(t, "destroy", p)
			if err := b.worker(t, "destroy").Run(); err != nil {
				t.Fatalf("destroy after a kill at %s: %v", p, err)
			}
			if list, _ := os.ReadDir(b.world); len(list) != 0 {
				t.Fatalf("killed at %s: %d objects are left", p, len(list))
			}
		}
	})
}

func sample(list []string, n, seed int) (out []string) {
	for i := range min(n, len(list)) {
		out = append(out, list[(seed+i*max(1, len(list)/n))%len(list)])
	}
	return out
}

func (b *bed) mustDie(t *testing.T, do, point string) {
	t.Helper()
	err := b.worker(t, do, "FAIRLEAD_FAILPOINT="+point).Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Logf("%s was not passed this time: %v", point, err)
	}
}

// The server dies while a provider makes an object: the program is told to
// stop, keeps its state in its directory, and the next server recovers it.
func TestTheServerDiesWhileTheProgramWorks(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		cmd := b.worker(t, "apply", "IAC_DELAY=5s")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		b.await(t, "store-killed")
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		b.whole(t)
	})
}

// The program itself is killed while it works.
func TestTheProgramIsKilled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		cmd := b.worker(t, "apply", "IAC_DELAY=30s")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		b.await(t, "store-killed")
		if n := b.killPrograms(t); n == 0 {
			t.Fatal("no program was found")
		}
		if err := cmd.Wait(); err == nil {
			t.Fatal("the apply is said to have gone well")
		}
		b.whole(t)
	})
}

func (b *bed) await(t *testing.T, name string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := b.load(name); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s never appeared", name)
		}
	}
}

// killPrograms kills what works in a run's directory of this bed.
func (b *bed) killPrograms(t *testing.T) (n int) {
	t.Helper()
	list, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range list {
		at, err := os.Readlink(link)
		exe, err2 := os.Readlink(filepath.Join(filepath.Dir(link), "exe"))
		if err != nil || err2 != nil || !strings.HasPrefix(at, filepath.Join(b.dir, "iac")) || exe != b.config.Binary {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link))); err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			n++
		}
	}
	return n
}

func TestTheVeryPlanFileIsApplied(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		var points []string
		e := b.engine(t, func(p string) { points = append(points, p) })
		req := b.request("exact")
		req.Fenced = func(context.Context) error { return nil }
		plan, err := e.Plan(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		points = nil
		res, err := e.Apply(t.Context(), req, plan, engine.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(points, "iac.plan.before") || !slices.Contains(points, "iac.apply.before") {
			t.Fatalf("it was planned again: %v", points)
		}
		req.Previous = &res
		req.Inputs = with(req.Inputs, "size", 5)
		if plan, err = e.Plan(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		// Another server applies it, after somebody changed what is there: what
		// would be done is not what was shown.
		b.save(t, "door-exact", thing{Owner: "res_exact", Secret: "another's"})
		before := b.picture(t)
		if _, err := e.With(nil).Apply(t.Context(), req, plan, engine.Discard); fault.From(err).Code != "plan_changed" {
			t.Fatalf("want plan_changed, got %v", err)
		}
		if b.picture(t) != before {
			t.Fatal("something was done nevertheless")
		}
	})
}

// A plan is read while its program comes to its end. What counts is the file
// that is there then.
func TestAPlanFileThatChangesWhileItIsRead(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		var swap func(file string) error
		e := b.engine(t, func(p string) {
			if p != "iac.plan.after" {
				return
			}
			found, err := filepath.Glob(filepath.Join(b.dir, "iac", "r", "*", "vars.json")) // the copy's has none
			if err != nil || len(found) != 1 {
				t.Errorf("%v, %v", found, err)
				return
			}
			if err := swap(filepath.Join(filepath.Dir(found[0]), "plan")); err != nil {
				t.Error(err)
			}
		})
		var first []byte
		plan := func(size int) engine.Plan {
			req := b.request("swapped")
			req.Inputs = with(req.Inputs, "size", size)
			made, err := e.Plan(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			return made
		}
		swap = func(file string) (err error) { first, err = os.ReadFile(file); return err }
		two := plan(2)
		swap = func(file string) error { return os.WriteFile(file, first, 0o600) }
		three := plan(3)
		if !bytes.Contains(two.Engine, []byte("size 2")) || !bytes.Equal(two.Engine, three.Engine) {
			t.Fatalf("what was read is not what is there:\n%s\n%s", two.Engine, three.Engine)
		}
	})
}

// The plan for policies has the changes and no secret; one that changes
// changes the plan all the same.
func TestSecretsBindThePlanAndAreNotInIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		e := b.engine(t, nil)
		req := b.request("veiled")
		req.Template = template(map[string]string{"main.tf": `
variable "token" {
  type = string
  sensitive = true
}
resource "terraform_data" "a" { input = { token = var.token, plain = "seen" } }
`}, "")
		plan := func(token string) string {
			req.Inputs = map[string]any{"token": token}
			p, err := e.Plan(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), token) || !strings.Contains(string(text), "seen") {
				t.Fatalf("%s", text)
			}
			return string(text)
		}
		if a, again, other := plan("canary-token-one"), plan("canary-token-one"), plan("canary-token-two"); a != again || a == other {
			t.Fatal("the plan is not bound to its secret")
		}
	})
}

func TestAMachineWithoutTheProgramSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bed) {
		b.config.Binary = "/nowhere/tofu"
		e := b.engine(t, nil)
		if _, err := e.Plan(t.Context(), b.request("none")); fault.From(err).Code != "engine_unavailable" || fault.From(err).Hint == "" {
			t.Fatalf("%v", err)
		}
	})
}
