"""Event delivery on one machine as Knative's KafkaSource, KafkaSink and PingSource do it, from the same manifests.

One process (`python -m shared.emulator.delivery`) serves all sources of a manifest folder. What it promises is what
Knative's data plane promises (eventing-kafka-broker, `data-plane/dispatcher`: `RecordDispatcherImpl`,
`WebClientCloudEventSender`, `OffsetManager`), and in one point more: a record whose dead letter could not be written
is kept and tried again, where Knative commits past it.
"""
