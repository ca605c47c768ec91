"""Commands of those who run a system: they look into its bucket themselves, beside the services.

The only part of `tapedeck` that may import `audiostore`, and only inside functions: `tapedeck --help` must not wait for it.
"""
