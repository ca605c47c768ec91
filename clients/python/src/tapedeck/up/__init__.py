"""The whole stack as child processes of one command: `tapedeck up`."""
