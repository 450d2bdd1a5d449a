"""From Kafka into features: this system beside Quix Streams and Bytewax, on one stream, in one run."""
