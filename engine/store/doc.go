// Package store watches over the directory of the embedded message server: whether there is room, whether it can be
// written, and whether it still holds what it held.
//
// A Guard closes the intake while the disk is nearly full, so that acknowledgements, the states of consumers and what
// is under way can still be written. When a write fails all the same, the server refuses every further write of that
// stream without a word; the Guard then closes the store, answers publishers in its stead, and opens the store again
// once it can be written. Nothing that was acknowledged is lost by that, and what was not stored counts as a duplicate
// no more, so that it can be published again with the same id.
//
// An Inventory remembers what the streams held and looks through their files before the server opens them.
package store
