// Package lastgood remembers the files of the configuration that worked last, so
// that a daemon can start again while one of its files is broken.
//
// A copy is a folder beside a small file that names it. That file is replaced
// in one step after the folder is complete and on the disk, so there is always
// the copy before or the new one, never a part. Copies can be read by their
// owner only: a look-up file holds names of people.
//
// Secrets are references in the files and stay that.
package lastgood
