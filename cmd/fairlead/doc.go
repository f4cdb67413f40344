// Command fairlead is the server and its client in one binary.
package main
