package yamldoc

import "flag"

// update rewrites the golden files instead of comparing with them.
var update = flag.Bool("update", false, "rewrite the golden files")
