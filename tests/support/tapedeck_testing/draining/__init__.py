"""What tests of the draining side need: a process that can be met at any of its steps."""
