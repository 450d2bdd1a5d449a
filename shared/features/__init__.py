"""Features: one declarative catalogue, two engines that answer the same.

`catalogue` says what each feature means. `online` answers at decision time from Redis, in one atomic step that also
records the transaction. `history` computes over files what `online` would have answered at each transaction.
"""
