#!/bin/sh
# Start gearmand at --address tcp://HOST:PORT. It has its jobs in memory alone, as it does unless told otherwise.
address=${2#tcp://}
exec gearmand --listen "${address%:*}" --port "${address##*:}" --log-file stderr
