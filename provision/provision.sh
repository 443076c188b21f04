#!/bin/sh
# Turns a bare Ubuntu (22.04 or later) or Debian (12 or later) into a machine of the lab. Running it
# again changes nothing.
#
# A machine needs Python, /opt/lab/venv with the pyzmq of requirements.lock, and a time service.
# `vagrant up` runs this on each VM. For your own host, run in the lab's folder:
#
#   tar c provision requirements.lock | ssh HOST 'tar x && sudo sh provision/provision.sh'
#
# What an implementation of the lab's programs other than pyzmq needs is installed by a script of its own:
#
#   ./fab implementations --script jeromq | ssh HOST 'sudo sh'
#
# If the host has no internet access, run `./fab wheels` first: it puts the packages into
# provision/wheels/, and tar copies them too.

set -eu
umask 022
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
lock=$here/../requirements.lock
wheels=$here/wheels
venv=/opt/lab/venv
python=/usr/bin/python3

say() { printf 'provision: %s\n' "$*"; }

give_up() { # WHAT HINT
    printf 'provision: %s\n  %s\n' "$1" "$2" >&2
    exit 1
}

need_this_system() {
    command -v apt-get >/dev/null || give_up 'this is neither Ubuntu nor Debian: there is no apt-get.' \
        "Make $venv by hand: an environment of Python 3.10 or later with pyzmq."
    [ "$(id -u)" = 0 ] || give_up 'only root can install packages.' "sudo sh $0"
    [ -r "$lock" ] || give_up "there is no $lock." 'Copy it together with the folder provision/.'
}

# Looks up the package servers' names. Behind a proxy the proxy resolves names.
names_resolve() {
    [ -z "${http_proxy:-}$(apt-config dump | grep -i '^acquire::https\{0,1\}::proxy ')" ] || return 0
    server=$(apt-get --print-uris update |
        sed -n "s|^'[a-z+]*://\([^/@]*@\)\{0,1\}\([^/:']*\).*|\2|p" | head -n 1)
    [ -z "$server" ] || timeout 30 getent ahosts "$server" >/dev/null
}

need_names() {
    names_resolve || give_up "'$server' does not resolve: this machine can't fetch packages." \
        "VirtualBox 7.2.0 hands its VMs a name server that they can't reach: update it.
  Or bring the packages along: ./fab wheels, and provision again (vagrant provision)."
}

apt_install() { # PACKAGE...; sets $said
    set -- apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@"
    said=$({ "$@" || { apt-get -qq update && "$@"; }; } 2>&1 </dev/null)
}

need_python() {
    if ! find_pip || [ ! -x "$python" ]; then
        need_names
        say 'installing python3 and python3-venv'
        apt_install python3 python3-venv || give_up 'the packages could not be installed.' "$said"
        find_pip || give_up 'python3-venv came without pip.' 'Bring it along: ./fab wheels'
    fi
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        give_up "$("$python" --version) is too old." 'Use Ubuntu 22.04 or Debian 12, or later ones.'
}

# Pip runs from its wheel, as it does when Python itself installs it. So the wheel in provision/wheels/
# is enough, and a machine without internet needs no python3-venv.
find_pip() { # sets $pip
    for pip in "$wheels"/pip-*.whl /usr/share/python-wheels/pip-*.whl; do
        [ ! -e "$pip" ] || return 0
    done
    return 1
}

# The lock file's lines about pyzmq. A line that ends in a backslash continues on the next one.
wanted() { sed -n '/^pyzmq==/,/[^\\]$/p' "$lock"; }

fresh() {
    wanted | cmp -s - "$venv/pyzmq.lock" && "$venv/bin/python" -c 'import zmq' 2>/dev/null
}

make_venv() {
    say "making $venv"
    "$python" -m venv --clear --without-pip "$venv"
    wanted >"$venv/wanted.lock"
    set -- --quiet --disable-pip-version-check --no-input --no-cache-dir --only-binary :all:
    if [ -d "$wheels" ]; then set -- "$@" --no-index --find-links "$wheels"; else need_names; fi
    "$venv/bin/python" "$pip/pip" install "$@" --require-hashes -r "$venv/wanted.lock" ||
        give_up 'pyzmq could not be installed: pip says above why.' \
            'Is the package index within reach? If not, or if provision/wheels/ is out of date: ./fab wheels'
    mv "$venv/wanted.lock" "$venv/pyzmq.lock" # last: after an interrupted install it is missing
}

need_time_service() {
    has_time_service || { names_resolve && apt_install systemd-timesyncd; } ||
        { say 'there is no time service, and none can be installed: the clock may drift'; return; }
    [ ! -d /run/systemd/system ] || timedatectl set-ntp true || say 'the time service does not start'
}

has_time_service() { # chrony and others provide time-daemon too
    dpkg-query -W -f '${db:Status-Status} ${Provides}\n' | grep -q '^installed .*time-daemon'
}

need_this_system
if ! fresh; then
    need_python
    make_venv
fi
need_time_service
"$venv/bin/python" -c 'import platform, zmq
print("provision: ready: Python", platform.python_version(), "pyzmq", zmq.__version__)'
