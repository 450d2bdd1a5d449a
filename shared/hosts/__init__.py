"""How functions meet their hosts: HTTP event delivery (Knative, emulator) and AWS Lambda's Kafka batches."""
