"""Live parity: real decisions' vectors against what the history engine makes of the raw events."""
