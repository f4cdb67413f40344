// Command bench measures Fairlead beside its peers and floors, as
// docs/performance.md describes: `make bench`, or here
//
//	go run . [-only 1,4] [-rounds 7] [-single] [-quick] [-out file.md]
//
// Every figure is a ratio of two things measured in the same run, interleaved
// A B B A. It reports; it never fails because something was slow. It is a
// module of its own so that what it compares with is no dependency of the
// product.
package main
