#!/bin/sh
# Start beanstalkd at --address tcp://HOST:PORT. It writes each job to a log, so that jobs survive a kill.
address=${2#tcp://}
folder=$(dirname "$0")/data
mkdir -p "$folder"
exec beanstalkd -l "${address%:*}" -p "${address##*:}" -z 1000000 -b "$folder" -f 0
