# Shared by `up` and `down`: where things live, how daemons are started, found and ended.
# shellcheck shell=bash

home=${STAGEX_ENGINES:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/stagex/engines}
# A Unix socket's path may have 107 bytes; containerd appends up to 40 to the folder it is given.
run=$home/run
[ "${#run}" -le 50 ] || run=/run/stagex-$(printf %s "$home" | cksum | cut -d' ' -f1)

say() { printf 'engines: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

need_root() {
  [ "$(id -u)" = 0 ] || die "dockerd and buildkitd mount file systems: run this as root (sudo $0 $*)"
}

# apt_install PACKAGE…: through the machine's own apt, and only what is missing.
apt_install() {
  local missing=() package
  for package; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  say "installing ${missing[*]}"
  mkdir -p "$home/log"
  apt_lists
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" \
    >"$home/log/apt.log" 2>&1 || failed "apt-get install ${missing[*]}" "$home/log/apt.log"
}

apt_lists() {
  [ -e "$home/.apt-lists" ] && return
  apt-get update -q >"$home/log/apt.log" 2>&1 || failed "apt-get update" "$home/log/apt.log"
  touch "$home/.apt-lists"
}

# failed WHAT LOG: the end of what was said, so that nobody has to look for it.
failed() {
  say "$1 failed; the end of $2:"
  tail -n 20 "$2" >&2
  exit 1
}

# alive NAME: whether the process that was started under this name still runs. Process numbers
# are used again, so the start time that the kernel gives is compared too.
alive() {
  local pid started
  read -r pid started 2>/dev/null <"$run/$1.pid" || return 1
  [ "$started" = "$(start_time "$pid")" ]
}

start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }

# start NAME COMMAND…: in a session of its own, so that a terminal's Ctrl-C does not end it.
start() {
  local name=$1 pid
  shift
  setsid "$@" >"$home/log/$name.log" 2>&1 </dev/null 9>&- &
  pid=$!
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$run/$name.pid"
}

# await NAME COMMAND…: until the command succeeds, at most a minute.
await() {
  local name=$1 tries=0
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    if ! alive "$name" || [ "$tries" -gt 300 ]; then
      stop "$name"
      failed "starting $name" "$home/log/$name.log"
    fi
    sleep 0.2
  done
}

# stop NAME: asks, waits twenty seconds, then insists.
stop() {
  local name=$1 pid started tries=0
  if alive "$name"; then
    read -r pid started <"$run/$name.pid"
    kill "$pid" 2>/dev/null
    while alive "$name"; do
      tries=$((tries + 1))
      [ "$tries" -le 100 ] || kill -9 "$pid" 2>/dev/null
      sleep 0.2
    done
    say "$name ended"
  fi
  rm -f "$run/$name.pid"
}

unmount_below() {
  local point
  while read -r point; do
    umount -l "$point" 2>/dev/null
  done < <(cut -d' ' -f5 /proc/self/mountinfo | grep -F "$1/" | sort -r)
}

# is_release VERSION: whether this Debian is at least that one.
is_release() { [ "$(. /etc/os-release && printf %s "${VERSION_ID:-0}")" -ge "$1" ] 2>/dev/null; }

# Every setting that a caller needs, one `export` a line.
setting() { printf 'export %s=%q\n' "$1" "$2" >>"$run/env.new"; }
