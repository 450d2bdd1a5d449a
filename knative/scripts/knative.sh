# Sourced by up.sh: Knative Serving with Kourier, Eventing, and the sources and sinks for Kafka.
RELEASES=https://github.com
apply_release() { # REPOSITORY FILE
  kube apply -f "$RELEASES/$1/releases/download/knative-v$KNATIVE_VERSION/$2" >/dev/null
}
install_knative() {
  apply_release knative/serving serving-crds.yaml
  apply_release knative/serving serving-core.yaml
  apply_release knative-extensions/net-kourier kourier.yaml
  kube -n knative-serving patch cm config-network --type merge \
    -p '{"data": {"ingress-class": "kourier.ingress.networking.knative.dev"}}' >/dev/null
  kube -n knative-serving patch cm config-domain --type merge -p '{"data": {"localhost": ""}}' >/dev/null
  kube -n kourier-system patch service kourier \
    -p '{"spec": {"type": "NodePort", "ports": [{"name": "http2", "port": 80, "nodePort": 31080}]}}' >/dev/null
  apply_release knative/eventing eventing-crds.yaml
  apply_release knative/eventing eventing-core.yaml
  apply_release knative-extensions/eventing-kafka-broker eventing-kafka-controller.yaml
  apply_release knative-extensions/eventing-kafka-broker eventing-kafka-source.yaml
  apply_release knative-extensions/eventing-kafka-broker eventing-kafka-sink.yaml
  for namespace in knative-serving kourier-system knative-eventing; do
    await "Knative $KNATIVE_VERSION: $namespace" -n "$namespace" deploy --all --for=condition=Available --timeout=600s
  done
}
