package mapping

import "reflect"

// FileForm is the type that a mapping file is decoded into, and FilterForm that of a filter file: what a JSON Schema
// of them must agree with.
func FileForm() reflect.Type { return reflect.TypeFor[document]() }

// FilterForm is the type that a filter file is decoded into.
func FilterForm() reflect.Type { return reflect.TypeFor[filterDocument]() }
