"""The attacks, a module for each kind; `catalogue` has them all."""
