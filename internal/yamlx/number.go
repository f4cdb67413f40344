package yamlx

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// maxNumber bounds a number that is kept as it was written: what computes with
// it takes time and space by its length.
const maxNumber = 400

// Number gives a JSON number, or a YAML 1.2 decimal, its one form: int64 where
// it is whole and fits, float64 where that holds every digit, else the
// json.Number as it was written. So no digit is lost on the way. ok is false
// for what float64 cannot come near, is too long or no number.
func Number(literal string) (v any, ok bool) {
	if i, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return i, true
	}
	if len(literal) > maxNumber {
		return nil, false
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return nil, false
	}
	digits, exponent := digitsOf(literal)
	if exponent >= 0 && exponent < 19 {
		sign := strings.TrimRight(literal[:1], "+.0123456789")
		if i, err := strconv.ParseInt(sign+digits+strings.Repeat("0", exponent), 10, 64); err == nil {
			return i, true
		}
	}
	switch {
	case f == 0 && digits != "": // too small
		return nil, false
	case f == 0:
		return int64(0), true
	case !same(f, digits, exponent):
		return json.Number(literal), json.Valid([]byte(literal))
	}
	return f, true
}

// Numbers puts each json.Number within v into its one form, in place, and
// gives v. One that Number refuses stays as it is.
func Numbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			v[k] = Numbers(item)
		}
	case []any:
		for i, item := range v {
			v[i] = Numbers(item)
		}
	case json.Number:
		if n, ok := Number(string(v)); ok {
			return n
		}
	}
	return v
}

// same tells whether the shortest decimal of f is the one of these digits.
func same(f float64, digits string, exponent int) bool {
	d, e := digitsOf(strconv.FormatFloat(math.Abs(f), 'e', -1, 64))
	return d == digits && e == exponent
}

// digitsOf gives a number as its digits without zeros at either end, and the
// power of ten of the last of them. The sign is left out.
func digitsOf(literal string) (digits string, exponent int) {
	mantissa, power := strings.TrimLeft(literal, "+-"), ""
	if i := strings.IndexAny(mantissa, "eE"); i >= 0 {
		mantissa, power = mantissa[:i], mantissa[i+1:]
	}
	if power != "" {
		exponent, _ = strconv.Atoi(power) // what does not fit is no float64 but zero
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent -= len(fraction)
	digits = strings.TrimLeft(whole+fraction, "0")
	short := strings.TrimRight(digits, "0")
	if short == "" {
		return "", 0
	}
	return short, exponent + len(digits) - len(short)
}
