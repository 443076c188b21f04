#!/bin/sh
# Put numbered jobs into a list, for whoever takes them.
n=0
while [ "$n" -lt "$LAB_COUNT" ]; do
    echo "put $n"
    redis-cli -h "$LAB_HOST" -p "$LAB_PORT" lpush jobs "$n" >&2
    sleep "$LAB_INTERVAL"
    n=$((n + 1))
done
