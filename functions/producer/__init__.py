"""The producer: an issuer's switch that sends simulated card traffic through the system."""
