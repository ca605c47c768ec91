"""The subcommands of `tapedeck`, one file each."""
