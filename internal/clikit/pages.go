package clikit

import (
	"iter"
	"maps"
	"slices"
)

// pageSize is the most that the API gives at once.
const pageSize = 200

// Pages collects a list page by page: at most limit items, all of them for 0.
// fetch gets how many to ask for and where to go on.
func Pages[T any](limit int, fetch func(limit *int64, cursor *string) ([]T, *string, error)) ([]T, error) {
	var all []T
	var cursor *string
	for {
		n := int64(pageSize)
		if limit > 0 {
			n = int64(min(pageSize, limit-len(all)))
		}
		items, next, err := fetch(&n, cursor)
		if err != nil {
			return all, err
		}
		all = append(all, items...)
		if next == nil || *next == "" || len(items) == 0 || (limit > 0 && len(all) >= limit) {
			return all, nil
		}
		cursor = next
	}
}

// Some gives a pointer to v, nil for the zero value: an option not used.
func Some[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// Or gives what p points to, or the zero value.
func Or[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// SomeMap is Some for a map: nil when it is empty.
func SomeMap[V any](m map[string]V) *map[string]V {
	if len(m) == 0 {
		return nil
	}
	return &m
}

// SomeList is Some for a list: nil when it is empty.
func SomeList[V any](l []V) *[]V {
	if len(l) == 0 {
		return nil
	}
	return &l
}

// Sorted goes through a map in the order of its keys.
func Sorted[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			if !yield(k, m[k]) {
				return
			}
		}
	}
}
