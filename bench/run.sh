#!/bin/bash
# The speed table: one mailbox, two real Dovecots, each tool on the same work, at
# loopback and at a round trip of 50 ms; every run judged by verify.py.
#
#   bench/run.sh                 about 4 minutes without imapsync
#
# Environment (all optional):
#   TOOLS=mailhaul,limit-copy50,limit-noop,mbsync   (+ imapsync-uid where IMAPSYNC is set)
#   MAILHAUL=                   a built program; default: built from this tree
#   IMAPSYNC=                   path of imapsync's script
#   RUNS=3                      of each tool at loopback; WAN_RUNS=1 at 50 ms
#   MESSAGES=5000               at loopback; WAN_MESSAGES=1000 at 50 ms
#   DELAY=25ms                  each way
#   DIR=                        where to; default: a fresh folder in /dev/shm, removed at the end
#
# Needs Debian's dovecot-imapd, isync (mbsync), openssl, python3; root, because the
# mail belongs to a user of its own. Ports are free ones, so that several can run.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
TOOLS=${TOOLS:-mailhaul,limit-copy50,limit-noop,mbsync${IMAPSYNC:+,imapsync-uid}}
RUNS=${RUNS:-3} WAN_RUNS=${WAN_RUNS:-1}
MESSAGES=${MESSAGES:-5000} WAN_MESSAGES=${WAN_MESSAGES:-1000} DELAY=${DELAY:-25ms}

missing=
for p in dovecot openssl python3; do command -v $p >/dev/null || missing+=" $p"; done
case $TOOLS in *mbsync*) command -v mbsync >/dev/null || missing+=" mbsync" ;; esac
[ -z "$missing" ] || { echo "bench: missing:$missing (apt-get install dovecot-imapd isync openssl python3)" >&2; exit 69; }
[ "$(id -u)" = 0 ] || { echo "bench: needs root: the servers' mail belongs to user mail" >&2; exit 77; }

own=
if [ -z "${DIR:-}" ]; then
  root=/dev/shm; [ -w $root ] || root=${TMPDIR:-/tmp}
  DIR=$(mktemp -d "$root/mhbench.XXXXXX"); own=1
fi
proxy=
finish() {
  [ -z "$proxy" ] || kill "$proxy" 2>/dev/null || true
  "$here/servers.sh" stop "$DIR" || true
  [ -z "$own" ] || rm -rf "$DIR"
}
trap finish EXIT

free_ports() { # N: that many ports nobody listens on
  python3 -c 'import socket,sys
s=[socket.socket() for _ in range(int(sys.argv[1]))]
[x.bind(("127.0.0.1",0)) for x in s]
print(*[x.getsockname()[1] for x in s])' "$1"
}
read -r SRC_PORT SRC_TLS_PORT DST_PORT DST_TLS_PORT WAN_SRC WAN_DST <<<"$(free_ports 6)"
export SRC_PORT SRC_TLS_PORT DST_PORT DST_TLS_PORT PYTHONDONTWRITEBYTECODE=1

mkdir -p "$DIR/bin"
(cd "$top" && go build -o "$DIR/bin/" ./bench/limit ./bench/delayproxy)
[ -n "${MAILHAUL:-}" ] || { MAILHAUL=$DIR/bin/mailhaul; (cd "$top" && go build -o "$MAILHAUL" ./cmd/mailhaul); }
export LIMIT=$DIR/bin/limit MAILHAUL
chmod 755 "$DIR"
"$here/servers.sh" start "$DIR" >/dev/null
cd "$here"
./corpus.py --port "$SRC_PORT" --users 1 --messages "$MESSAGES" --nul
./corpus.py --port "$SRC_PORT" --users 1 --messages "$WAN_MESSAGES" --prefix w --folders 8
./bench.py --dir "$DIR" snapshot

echo; echo "loopback: one mailbox of $MESSAGES messages"
./bench.py --dir "$DIR" one --tools "$TOOLS" --runs "$RUNS"

"$DIR/bin/delayproxy" -delay "$DELAY" "127.0.0.1:$WAN_SRC=127.0.0.1:$SRC_PORT" "127.0.0.1:$WAN_DST=127.0.0.1:$DST_PORT" &
proxy=$!
echo; echo "$DELAY each way: one mailbox of $WAN_MESSAGES messages"
./bench.py --dir "$DIR" one --user w0000 --src-port "$WAN_SRC" --dst-port "$WAN_DST" --tools "$TOOLS" --runs "$WAN_RUNS"
