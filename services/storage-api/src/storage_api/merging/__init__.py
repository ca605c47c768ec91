"""One conversation out of several (docs/merging.md): the request, the operation, and the copying inside the bucket."""
