"""The local emulator: what Knative does with `knative/base/`, on one machine and without a container runtime."""
