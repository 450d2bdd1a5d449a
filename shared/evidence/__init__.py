"""Statistics that decisions about models rest on: pure functions, each with its formula and source."""
