#!/usr/bin/env bash
# A Swift compiler on a Debian that has none: Debian 13's, in a folder of its own.
#
#   toolchain.sh make FOLDER                    makes the folder, once; about a minute and 4 GB
#   toolchain.sh run FOLDER DIR COMMAND...      runs a command in DIR with the folder's programs, DIR being the only place shared
#
# Needs root, debootstrap and a mirror of Debian (that of this machine, or MIRROR). What is mounted goes with the command.
set -euo pipefail

fail() {
    echo "swift toolchain: $1" >&2
    exit 1
}

# The mirror that this machine's own packages come from.
mirror() {
    local found
    found=$(grep -rhoE 'https?://[^ ]*/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -n 1 | tr -d ' ')
    echo "${MIRROR:-${found:-http://deb.debian.org/debian}}"
}

make_folder() {
    local folder=$1
    [ -e "$folder/READY" ] && return
    [ "$(id -u)" = 0 ] || fail "making $folder needs root (or install swift 6 and put it on the path)"
    rm -rf "$folder"
    mkdir -p "$folder"
    command -v debootstrap > /dev/null || { apt-get update -qq && apt-get install -y -qq debootstrap; } > "$folder.log" 2>&1 \
        || fail "debootstrap is missing and could not be installed: see $folder.log"
    debootstrap --variant=minbase --include=ca-certificates trixie "$folder" "$(mirror)" > "$folder.log" 2>&1 \
        || fail "debootstrap failed: see $folder.log"
    run "$folder" / apt-get install -y -qq --no-install-recommends swiftlang libc6-dev libstdc++-14-dev >> "$folder.log" 2>&1 \
        || fail "swiftlang could not be installed: see $folder.log"
    touch "$folder/READY"
}

run() {
    local folder=$1 directory=$2
    shift 2
    # In a mount namespace of its own: swift finds its libraries through /proc, and nothing stays mounted.
    unshare --mount --fork bash -euc '
        folder=$1 directory=$2
        shift 2
        mount -t proc proc "$folder/proc"
        mount --rbind /dev "$folder/dev"
        if [ "$directory" != / ]; then
            mkdir -p "$folder$directory"
            mount --bind "$directory" "$folder$directory"
        fi
        exec chroot "$folder" env -C "$directory" "$@"
    ' toolchain "$folder" "$directory" "$@"
}

case "${1:-}" in
    make) make_folder "${2:?FOLDER}" ;;
    run) shift; run "$@" ;;
    *) fail "usage: toolchain.sh make FOLDER | run FOLDER DIR COMMAND..." ;;
esac
