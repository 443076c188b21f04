#!/bin/sh
# Start RabbitMQ at --address tcp://HOST:PORT. Its own scripts want /usr and a user of its own, so Erlang is
# started as they do it. What it confirms of persistent messages is in a file.
set -eu
address=${2#tcp://}
folder=$(cd "$(dirname "$0")" && pwd)/data
mkdir -p "$folder"
installed=$(command -v rabbitmqadmin)
installed=${installed%/usr/bin/rabbitmqadmin}
export ROOTDIR="$installed/usr/lib/erlang" EMU=beam PROGNAME=erl
for BINDIR in "$ROOTDIR"/erts-*/bin; do :; done
for RABBITMQ_HOME in "$installed"/usr/lib/rabbitmq/lib/rabbitmq_server-*; do :; done
export BINDIR RABBITMQ_HOME PATH="$BINDIR:/usr/bin:/bin" HOME="$folder" ERL_LIBS="$folder/plugins"
# Without the plugins, all of which the server would read at each start, in as long as all else takes.
set --
for name in rabbit rabbit_common rabbitmq_prelaunch amqp10_common aten credentials_obfuscation cuttlefish enough \
    gen_batch_server jsx observer_cli osiris ra ranch recon seshat stdout_formatter syslog sysmon_handler systemd; do
    set -- "$@" "$RABBITMQ_HOME/plugins/$name"-[0-9]*
done
mkdir -p "$ERL_LIBS"
ln -sfn "$@" "$ERL_LIBS"
port=${address##*:}
# Two more ports, of this address alone: others may have the same port on addresses of their own.
own=$((10000 + 2 * ($(printf %s "$address" | cksum | cut -d ' ' -f 1) % 5000)))
export RABBITMQ_NODE_IP_ADDRESS="${address%:*}" RABBITMQ_NODE_PORT="$port"
export RABBITMQ_NODENAME="rabbit-$port@localhost" RABBITMQ_DIST_PORT="$own"
export ERL_EPMD_ADDRESS=127.0.0.1 ERL_EPMD_PORT=$((own + 1))
export RABBITMQ_MNESIA_BASE="$folder" RABBITMQ_LOG_BASE="$folder" RABBITMQ_LOGS=-
export RABBITMQ_PLUGINS_DIR="$ERL_LIBS"
export RABBITMQ_ENABLED_PLUGINS_FILE="$folder/enabled_plugins" RABBITMQ_CONFIG_FILE="$folder/rabbitmq"
printf '[].\n' >"$RABBITMQ_ENABLED_PLUGINS_FILE"
# The lab's network is the lab's own: its clients aren't on this machine.
printf '[{rabbit, [{loopback_users, []}]}].\n' >"$RABBITMQ_CONFIG_FILE.config"
setpriv --pdeathsig KILL "$BINDIR/epmd" & # where Erlang registers its name; it ends with this process
epmd=$!
until "$BINDIR/epmd" -names >/dev/null 2>&1; do
    kill -0 "$epmd"
    sleep 0.05
done
exec "$BINDIR/erlexec" -noinput -s rabbit boot -boot "$ROOTDIR/bin/start_sasl" -syslog logger '[]' \
    -kernel inet_dist_use_interface '{127,0,0,1}'
