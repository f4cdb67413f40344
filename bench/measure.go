package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"
)

// side is one of the two things compared: it does its block of work once and
// gives a sample for each operation, in seconds (or whatever unit both share).
type side func(ctx context.Context) ([]float64, error)

// statistic makes one figure of a block's samples.
type statistic struct {
	name   string
	of     func([]float64) float64
	target float64
}

// comparison holds ours against a peer.
type comparison struct {
	bench, what, peer string
	ours, theirs      side
	stats             []statistic
	rate              bool // the ratio is of rates: higher is better
	unit              string
	scale             float64                         // samples × scale are in unit
	before            func(ctx context.Context) error // each block, not timed
}

// row is one line of the report.
type row struct {
	bench, what, peer, stat string
	ours, theirs            float64 // medians, in unit
	unit                    string
	ratio, low, high        float64
	control                 float64
	controlled              bool
	target                  float64
	rate                    bool
	load                    float64
	note                    string
}

// compare runs the rounds, A B B A each, and records a row for each statistic.
// Between the rounds it runs A against A, the control, in the same way.
func (r *run) compare(ctx context.Context, c comparison) error {
	if c.scale == 0 {
		c.scale, c.unit = 1000, "ms"
	}
	for _, s := range []side{c.ours, c.theirs} { // warm both, once
		if _, err := c.block(ctx, s); err != nil {
			return err
		}
	}
	load := loadAverage()
	n := len(c.stats)
	ours, theirs, control := make([][]float64, n), make([][]float64, n), make([]float64, 0, r.rounds)
	for round := range r.rounds {
		got, err := c.round(ctx, c.ours, c.theirs)
		if err != nil {
			return err
		}
		for i, s := range c.stats {
			ours[i] = append(ours[i], s.of(got[0]))
			theirs[i] = append(theirs[i], s.of(got[1]))
		}
		fmt.Fprintf(os.Stderr, "  %s vs %s, round %d: %.4g vs %.4g %s\n", c.what, c.peer, round+1,
			ours[0][round]*c.scale, theirs[0][round]*c.scale, c.unit)
		if r.quick || r.single {
			continue
		}
		if got, err = c.round(ctx, c.ours, c.ours); err != nil {
			return err
		}
		control = append(control, c.stats[0].of(got[0])/c.stats[0].of(got[1]))
	}
	for i, s := range c.stats {
		w := row{bench: c.bench, what: c.what, peer: c.peer, stat: s.name, unit: c.unit, target: s.target, rate: c.rate,
			ours: median(ours[i]) * c.scale, theirs: median(theirs[i]) * c.scale, load: max(load, loadAverage())}
		ratios := make([]float64, len(ours[i]))
		for k := range ratios {
			ratios[k] = ours[i][k] / theirs[i][k]
			if c.rate {
				ratios[k] = 1 / ratios[k]
			}
		}
		w.ratio = median(ratios)
		w.low, w.high = bootstrap(ratios)
		if len(control) > 0 {
			w.control, w.controlled = median(control), true
		}
		r.add(w)
	}
	return nil
}

func (r *run) add(w row) {
	r.rows = append(r.rows, w)
	fmt.Fprintln(os.Stderr, " ", w.String())
}

// round is A B B A: whatever drifts evenly weighs on both alike.
func (c comparison) round(ctx context.Context, a, b side) (got [2][]float64, err error) {
	for _, turn := range []struct {
		who int
		do  side
	}{{0, a}, {1, b}, {1, b}, {0, a}} {
		samples, err := c.block(ctx, turn.do)
		if err != nil {
			return got, err
		}
		got[turn.who] = append(got[turn.who], samples...)
	}
	return got, nil
}

func (c comparison) block(ctx context.Context, s side) ([]float64, error) {
	if c.before != nil {
		if err := c.before(ctx); err != nil {
			return nil, err
		}
	}
	return s(ctx)
}

func (w row) passed() string {
	switch {
	case w.controlled && (w.control < 0.95 || w.control > 1.05):
		return "void"
	case w.target == 0:
		return "–"
	case w.rate && w.ratio >= w.target, !w.rate && w.ratio <= w.target:
		return "met"
	default:
		return "**missed**"
	}
}

func (w row) goal() string {
	switch {
	case w.target == 0:
		return "–"
	case w.rate:
		return fmt.Sprintf("≥ %.3g×", w.target)
	default:
		return fmt.Sprintf("≤ %.3g×", w.target)
	}
}

func (w row) String() string {
	control := "–"
	if w.controlled {
		control = fmt.Sprintf("%.2f", w.control)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s× (%s–%s) | %s | %.1f | %s |", w.bench, w.what, w.stat, w.peer,
		figure(w.ours, w.unit), figure(w.theirs, w.unit), w.goal(), short(w.ratio), short(w.low), short(w.high), control, w.load, w.passed())
}

func figure(v float64, unit string) string { return short(v) + " " + unit }

func short(v float64) string {
	switch {
	case v == 0:
		return "0"
	case math.Abs(v) >= 1000:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) < 0.01:
		return fmt.Sprintf("%.2g", v)
	default:
		return fmt.Sprintf("%.3g", v)
	}
}

func median(v []float64) float64 { return quantile(v, 0.5) }

func p50(v []float64) float64 { return quantile(v, 0.5) }

func p99(v []float64) float64 { return quantile(v, 0.99) }

func mean(v []float64) float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// quantile interpolates between the samples beside it.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(v))
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
}

// bootstrap gives the 95 % interval of the median of the paired ratios.
func bootstrap(ratios []float64) (low, high float64) {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // resampling, the same each time
	medians := make([]float64, 10_000)
	again := make([]float64, len(ratios))
	for i := range medians {
		for k := range again {
			again[k] = ratios[rng.IntN(len(ratios))]
		}
		medians[i] = median(again)
	}
	return quantile(medians, 0.025), quantile(medians, 0.975)
}

// timed makes a side of one duration.
func timed(f func(ctx context.Context) error) side {
	return func(ctx context.Context) ([]float64, error) {
		began := time.Now()
		err := f(ctx)
		return []float64{time.Since(began).Seconds()}, err
	}
}
