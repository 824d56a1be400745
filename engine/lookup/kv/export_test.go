package kv

// UserOf is what a key of the bucket of users is looked up by.
var UserOf = userOf
