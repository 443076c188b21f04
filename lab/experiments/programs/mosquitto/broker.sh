#!/bin/sh
# Start Mosquitto at --address tcp://HOST:PORT. It writes what it has to a file, but only when it ends well.
address=${2#tcp://}
folder=$(dirname "$0")/data
mkdir -p "$folder"
# As root it would become a user that the machine may not have.
printf '%s\n' "user $(id -un)" "listener ${address##*:} ${address%:*}" 'allow_anonymous true' \
    'persistence true' "persistence_location $folder/" >"$folder/mosquitto.conf"
exec mosquitto -c "$folder/mosquitto.conf"
