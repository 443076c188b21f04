#!/bin/sh
# Any program in any language: what it prints on standard output, line by line, is what counts.
n=0
while [ "$n" -lt "$LAB_COUNT" ]; do
    echo "$n"
    n=$((n + 1))
    sleep "$LAB_INTERVAL"
done
