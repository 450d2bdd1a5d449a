from confluent_kafka import Producer

from shared.cli.figures import topic_size


def test_a_topics_size_is_what_it_holds(kafka_bootstrap: str) -> None:
    before = topic_size(kafka_bootstrap, "fraud.shadows")
    producer = Producer({"bootstrap.servers": kafka_bootstrap})
    for number in range(20):
        producer.produce("fraud.shadows", key=str(number), value=b"x")
    assert producer.flush(30) == 0
    assert topic_size(kafka_bootstrap, "fraud.shadows") == before + 20
