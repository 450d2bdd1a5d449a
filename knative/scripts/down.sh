#!/usr/bin/env bash
# Removes the Kind cluster; with CONTEXT, what up.sh has put into that cluster.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_tools
if [ -z "$CONTEXT" ]; then
  kind delete cluster --quiet --name "$CLUSTER"
  say "Kind cluster $CLUSTER is gone"
  exit
fi
remove_namespace
kube delete -k "$ROOT/knative/monitoring" --ignore-not-found >/dev/null
kube delete -k "$ROOT/knative/volumes" --ignore-not-found >/dev/null
kube -n default delete cm fraud-images --ignore-not-found >/dev/null
say "the namespaces fraud and fraud-monitoring are gone"
