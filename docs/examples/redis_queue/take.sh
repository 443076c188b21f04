#!/bin/sh
# Take jobs from the list, one at a time; redis-cli prints the list's name, then the job.
while job=$(redis-cli -h "$LAB_HOST" -p "$LAB_PORT" --raw brpop jobs 0 | sed -n 2p); do
    echo "took $job"
done
