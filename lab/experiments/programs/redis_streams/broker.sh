#!/bin/sh
# Start Redis at --address tcp://HOST:PORT. What it acknowledges is in a file, so that it survives a kill.
address=${2#tcp://}
folder=$(dirname "$0")/data
mkdir -p "$folder"
exec redis-server --bind "${address%:*}" --port "${address##*:}" --protected-mode no --dir "$folder" \
    --appendonly yes --save ""
