"""The `fraud` command: one module per command, each imported only when it is run."""
