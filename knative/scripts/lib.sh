# Sourced by the scripts beside it.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
KIND_VERSION=0.33.0
KNATIVE_VERSION=1.24.0
CLUSTER=fraud
: "${CONTEXT:=}" "${HTTP_PORT:=8090}" "${LOAD_IMAGE:=}"
IMAGES=(scorer feature-updater shadow-scorer train archiver drift promote producer dispatcher backing)
FUNCTIONS=(scorer feature-updater shadow-scorer train archiver drift promote)

say() { printf '%4ds  %s\n' "$SECONDS" "$*"; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
need() { # COMMAND HINT
  command -v "$1" >/dev/null || die "$1 is not installed: $2"
}
kube() { kubectl --context "${CONTEXT:-kind-$CLUSTER}" "$@"; }
has_kind() { kube get crd "$1" >/dev/null 2>&1; } # PLURAL.GROUP
await() { # WHAT KUBECTL-WAIT-ARGUMENTS...
  local what=$1; shift
  kube wait "$@" >/dev/null || die "$what: still not so; look at: kubectl --context ${CONTEXT:-kind-$CLUSTER} get pods -A"
  say "$what"
}
# A namespace's own deletion would wait for half the longest grace period of its pods: minutes. What cannot go before
# it, since its kind is unknown or its pod hangs, goes with it.
remove_namespace() {
  if ! kube get namespace fraud >/dev/null 2>&1; then return; fi
  kube -n fraud delete --ignore-not-found pingsources,ksvc,deployments,statefulsets,jobs --all >/dev/null 2>&1 || true
  kube -n fraud wait pods --all --for=delete --timeout=120s >/dev/null || true
  kube delete namespace fraud >/dev/null
}
need_tools() {
  need kubectl "https://kubernetes.io/docs/tasks/tools/"
  if [ -n "$CONTEXT" ]; then
    kube version >/dev/null 2>&1 || die "no cluster answers in the context $CONTEXT of your kubeconfig"
    return
  fi
  need kind "https://kind.sigs.k8s.io, release v$KIND_VERSION"
  need docker "https://docs.docker.com/engine/install/"
  docker info >/dev/null 2>&1 || die "the Docker engine does not answer: start it, or set DOCKER_HOST"
  local found; found=$(kind version | sed -E 's/^kind v([0-9.]+).*/\1/')
  [ "$found" = "$KIND_VERSION" ] || say "kind is $found; these scripts were written for $KIND_VERSION"
}
overlay() { # the folder that fits the cluster
  if has_kind kafkasources.sources.knative.dev; then echo kind; else echo without-kafka-source; fi
}
address() { # SERVICE: its host name
  kube -n fraud get "ksvc/$1" -o 'jsonpath={.status.url}' | sed 's|^[a-z]*://||'
}
