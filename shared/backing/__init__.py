"""The backing services embedded: Apache Kafka, Valkey, SeaweedFS and MLflow as plain processes on loopback.

`Backing` starts them side by side, waits for real probes, restarts what crashes and stops in order. Each
service is a module behind the `BackingService` protocol, replaceable by the address of another one.
"""
