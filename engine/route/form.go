package route

import "reflect"

// Form is the type that a router of a routers file is decoded into: what a JSON Schema of it must agree with.
func Form() reflect.Type { return reflect.TypeFor[document]() }
