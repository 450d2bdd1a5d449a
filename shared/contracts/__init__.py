"""What functions and their callers say to each other: events, requests, answers and problems."""
