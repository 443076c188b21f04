#!/bin/sh
# Start NATS with JetStream at --address tcp://HOST:PORT. What it acknowledges is in a file.
address=${2#tcp://}
exec nats-server --addr "${address%:*}" --port "${address##*:}" --jetstream --store_dir "$(dirname "$0")/data"
