package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// floors are what the machine itself does, below which nothing can go.
type floors struct {
	at       time.Time
	fsync    float64 // seconds, p50, of a 4 KiB append
	fsync99  float64
	loopback float64 // seconds, p50, of one byte there and back
	load     float64
}

func (f floors) String() string {
	return fmt.Sprintf("%s: fsync p50 %.2f ms, p99 %.2f ms; loopback round trip p50 %.0f µs; load %.2f",
		f.at.UTC().Format("2006-01-02 15:04 UTC"), f.fsync*1e3, f.fsync99*1e3, f.loopback*1e6, f.load)
}

func measureFloors(dir string) floors {
	f := floors{at: time.Now(), load: loadAverage()}
	if v := fsyncs(filepath.Join(dir, "fsync"), 200); len(v) > 0 {
		f.fsync, f.fsync99 = p50(v), p99(v)
	}
	if v := roundTrips(2000); len(v) > 0 {
		f.loopback = p50(v)
	}
	return f
}

func fsyncs(file string, n int) []float64 {
	out, err := os.Create(file)
	if err != nil {
		return nil
	}
	defer os.Remove(file)
	defer out.Close()
	page, v := make([]byte, 4096), make([]float64, 0, n)
	for range n {
		if _, err := out.Write(page); err != nil {
			return nil
		}
		began := time.Now()
		if err := out.Sync(); err != nil {
			return nil
		}
		v = append(v, time.Since(began).Seconds())
	}
	return v
}

func roundTrips(n int) []float64 {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return nil
	}
	defer c.Close()
	v, b := make([]float64, 0, n), []byte{0}
	for range n {
		began := time.Now()
		if _, err := c.Write(b); err != nil {
			return nil
		}
		if _, err := io.ReadFull(c, b); err != nil {
			return nil
		}
		v = append(v, time.Since(began).Seconds())
	}
	return v
}

func loadAverage() float64 {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	v, _ := strconv.ParseFloat(first, 64)
	return v
}

// machine describes where this runs.
func machine() string {
	model, memory := "unknown CPU", ""
	scan := func(file, key string) string {
		f, err := os.Open(file)
		if err != nil {
			return ""
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if name, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(name) == key {
				return strings.TrimSpace(value)
			}
		}
		return ""
	}
	if m := scan("/proc/cpuinfo", "model name"); m != "" {
		model = m
	}
	if kb, err := strconv.Atoi(strings.TrimSuffix(scan("/proc/meminfo", "MemTotal"), " kB")); err == nil {
		memory = fmt.Sprintf(", %d GiB", (kb+1<<19)>>20)
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	return fmt.Sprintf("%s, %d cores%s, Linux %s, %s", model, runtime.NumCPU(), memory, strings.TrimSpace(string(kernel)), runtime.Version())
}

func report(r *run, before, after floors) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Machine: %s.\nFloors before, %s.\nFloors after, %s.\n%d paired rounds", machine(), before, after, r.rounds)
	if r.quick {
		b.WriteString(", quick: less work, no controls")
	} else if r.single {
		b.WriteString(", no controls")
	}
	b.WriteString(".\n\n| # | Workload | Figure | Against | Ours | Theirs | Target | Ratio (95 %) | A/A | Load | Verdict |\n|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, w := range r.rows {
		b.WriteString(w.String() + "\n")
	}
	return b.String()
}
