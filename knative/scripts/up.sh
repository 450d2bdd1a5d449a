#!/usr/bin/env bash
# Brings the system up on a cluster, and ends with its addresses.
#
#   up.sh fresh    a new Kind cluster with Knative in it (with CONTEXT: the namespace fraud made anew)
#   up.sh fast     the same cluster again, with what has changed since
#
# CONTEXT=NAME       an existing cluster of your kubeconfig, with Knative in it, instead of Kind
# LOAD_IMAGE=COMMAND how an image gets into that cluster (called with its name); without it, the images are there already
# HTTP_PORT=8090     port of the ingress on this machine, for Kind
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$ROOT/knative/scripts/knative.sh"
mode=${1:-}
case $mode in fresh | fast) ;; *) die "usage: up.sh fresh|fast" ;; esac

cluster() {
  if [ -n "$CONTEXT" ]; then
    has_kind services.serving.knative.dev || die "the cluster of $CONTEXT has no Knative Serving"
    has_kind pingsources.sources.knative.dev || die "the cluster of $CONTEXT has no Knative Eventing"
    if [ "$mode" = fresh ]; then
      remove_namespace
      kube delete -k "$ROOT/knative/volumes" --ignore-not-found >/dev/null
      say "namespace fraud is gone"
    fi
    return
  fi
  if [ "$mode" = fresh ]; then
    kind delete cluster --quiet --name "$CLUSTER"
    sed "s/HTTP_PORT/$HTTP_PORT/" "$ROOT/knative/scripts/kind.yaml" | kind create cluster --quiet --name "$CLUSTER" --config -
    say "Kind cluster $CLUSTER"
    install_knative
  else
    kind get clusters | grep -qx "$CLUSTER" || die "there is no Kind cluster $CLUSTER: make kind-up-fresh"
    docker start "$CLUSTER-control-plane" >/dev/null
    until kube get --raw /readyz >/dev/null 2>&1; do sleep 1; done
    say "Kind cluster $CLUSTER answers"
  fi
}

content() { # IMAGE: a digest of what it runs; its labels name the commit and change with each
  docker image inspect --format '{{json .RootFS.Layers}}{{json .Config.Cmd}}{{json .Config.Env}}{{.Config.User}}' \
    "dev.local/fraud-$1:1" | openssl sha256 | sed 's/.* //' | cut -c1-16
}

CHANGED=()
images() {
  if [ -n "$CONTEXT" ] && [ -z "$LOAD_IMAGE" ]; then return; fi
  local image now known
  for image in "${IMAGES[@]}"; do
    now=$(content "$image" 2>/dev/null) || die "there is no image dev.local/fraud-$image:1: make images"
    known=$(kube -n default get cm fraud-images -o "jsonpath={.data.$image}" 2>/dev/null || true)
    [ "$now" != "$known" ] || continue
    if [ -n "$LOAD_IMAGE" ]; then $LOAD_IMAGE "dev.local/fraud-$image:1" >/dev/null
    else kind load docker-image --quiet --name "$CLUSTER" "dev.local/fraud-$image:1"; fi
    kube -n default create cm fraud-images --dry-run=client -o yaml | kube apply -f - >/dev/null 2>&1
    kube -n default patch cm fraud-images --type merge -p "{\"data\": {\"$image\": \"$now\"}}" >/dev/null
    [ -z "$known" ] || CHANGED+=("$image")
    say "image $image"
  done
}

secrets() { # keys of the S3 server, made here and kept nowhere else
  kube -n fraud get secret fraud-s3 >/dev/null 2>&1 && return
  kube -n fraud create secret generic fraud-s3 --from-literal=AWS_ACCESS_KEY_ID="$(openssl rand -hex 10)" \
    --from-literal=AWS_SECRET_ACCESS_KEY="$(openssl rand -hex 20)" >/dev/null
  say "keys of the S3 server"
}

volumes() { # only where the cluster makes none by itself
  if kube get storageclass -o name | grep -q .; then return; fi
  kube get pv fraud-kafka >/dev/null 2>&1 && return
  kube apply -k "$ROOT/knative/volumes" >/dev/null
  await "folders for volumes on the node" -n default job/fraud-volumes --for=condition=Complete --timeout=120s
}

roll_out() { # a function whose image has changed gets a new revision: the image's name has not
  local image
  for image in ${CHANGED[@]+"${CHANGED[@]}"}; do
    if [[ " ${FUNCTIONS[*]} " == *" $image "* ]]; then
      kube -n fraud patch ksvc "$image" --type merge -p "{\"spec\": {\"template\": {\"metadata\": {\"annotations\":
        {\"fraud.dev/image\": \"$(content "$image")\"}}}}}" >/dev/null
    else
      kube -n fraud delete pod -l "app=$image" >/dev/null  # its Deployment makes another
    fi
  done
}

need_tools
need openssl "it makes the keys of the S3 server and tells images apart"
cluster
images
kube apply -f "$ROOT/knative/base/namespace.yaml" >/dev/null
secrets
volumes
kube apply -k "$ROOT/knative/overlays/$(overlay)" >/dev/null
[ "$mode" = fresh ] || roll_out
say "applied overlays/$(overlay)"
for service in kafka redis s3 mlflow; do
  kube -n fraud rollout status "sts/$service" --timeout=300s >/dev/null || die "$service does not start"
done
say "backing services"
await "topics and buckets" -n fraud job/prepare-backing --for=condition=Complete --timeout=300s
await "first models" -n fraud job/first-models --for=condition=Complete --timeout=900s
await "all functions are ready" -n fraud ksvc --all --for=condition=Ready --timeout=600s
host=$(address scorer)
printf '\n  scorer   http://%s%s\n' "$host" "$([ -n "$CONTEXT" ] || echo ":$HTTP_PORT")"
[ -n "$CONTEXT" ] || printf "  or       curl -H 'Host: %s' http://127.0.0.1:%s/health/readiness\n" "$host" "$HTTP_PORT"
printf '  MLflow   kubectl -n fraud port-forward svc/mlflow 5000\n  Kafka    kubectl -n fraud port-forward svc/kafka 9094\n\n'
