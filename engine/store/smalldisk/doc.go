// Package smalldisk gives tests real file systems of a few megabytes, which can be filled, made larger and made
// read-only.
package smalldisk
