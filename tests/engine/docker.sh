# dockerd with containerd's image store, the docker client and buildx: Debian 13's packages, unpacked
# into a folder of their own where the machine runs something older.
# shellcheck shell=bash disable=SC2154

docker_packages=(docker.io docker-cli docker-buildx containerd tini)

up_docker() {
  if [ -z "${STAGEX_ENGINES_OWN:-}" ] && docker_is_usable; then
    say "using the docker daemon that is running already"
    return
  fi
  apt_install runc iptables xz-utils ca-certificates
  docker_unpack
  mkdir -p "$home/docker" "$home/config/cli-plugins" "$run"
  ln -sf "$home/debian13/usr/libexec/docker/cli-plugins/docker-buildx" "$home/config/cli-plugins/docker-buildx"
  printf '{}\n' >"$home/config/config.json.new" && mv -n "$home/config/config.json.new" "$home/config/config.json"
  printf '{"features":{"containerd-snapshotter":true}}\n' >"$home/docker/daemon.json"
  cat >"$home/docker/containerd.toml" <<TOML
version = 2
root = "$home/docker/containerd"
state = "$run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "$run/containerd.sock"
TOML
  local path=$home/debian13/usr/bin:$home/debian13/usr/sbin:$PATH
  if ! alive containerd; then
    stop dockerd
    PATH=$path start containerd containerd --config "$home/docker/containerd.toml"
    await containerd test -S "$run/containerd.sock"
  fi
  if ! alive dockerd; then
    rm -f "$run/docker.pid"
    PATH=$path start dockerd dockerd --config-file "$home/docker/daemon.json" \
      --host "unix://$run/docker.sock" --containerd "$run/containerd.sock" \
      --data-root "$home/docker/data" --exec-root "$run/docker" --pidfile "$run/docker.pid" \
      --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false
    await dockerd env DOCKER_HOST="unix://$run/docker.sock" "$home/debian13/usr/bin/docker" info
    say "dockerd is up"
  fi
  setting DOCKER_HOST "unix://$run/docker.sock"
  setting DOCKER_CONFIG "$home/config"
  path_front=$home/debian13/usr/bin:$path_front
}

# A daemon is good enough when it stores images in containerd (which MergeOp's layers need) and its
# client has buildx.
docker_is_usable() {
  docker buildx version >/dev/null 2>&1 &&
    docker info -f '{{.DriverStatus}}' 2>/dev/null | grep -q io.containerd.snapshotter
}

docker_unpack() {
  local stamp=$home/debian13/.stamp
  [ "$(cat "$stamp" 2>/dev/null)" = "${docker_packages[*]}" ] && return
  mkdir -p "$home/log" "$home/apt/lists/partial" "$home/apt/archives/partial"
  say "fetching Debian 13's ${docker_packages[*]}"
  local apt=(apt-get -q -o "Dir::State::lists=$home/apt/lists" -o "Dir::Cache::archives=$home/apt/archives"
    -o "Dir::Cache::pkgcache=" -o "Dir::Cache::srcpkgcache=")
  if ! is_release 13; then
    debian13_sources >"$home/apt/debian13.list"
    apt+=(-o "Dir::Etc::sourcelist=$home/apt/debian13.list" -o Dir::Etc::sourceparts=-)
  fi
  rm -rf "$home/debian13"
  mkdir -p "$home/debian13"
  "${apt[@]}" update >"$home/log/apt.log" 2>&1 || failed "apt-get update" "$home/log/apt.log"
  (cd "$home/apt" && rm -f ./*.deb && "${apt[@]}" download "${docker_packages[@]}") \
    >>"$home/log/apt.log" 2>&1 || failed "apt-get download" "$home/log/apt.log"
  local deb
  for deb in "$home"/apt/*.deb; do
    dpkg-deb -x "$deb" "$home/debian13" || die "unpacking $deb failed"
  done
  printf '%s' "${docker_packages[*]}" >"$stamp"
}

# The machine's own sources under Debian 13's name; no host is written down here.
debian13_sources() {
  local file uri
  for file in /etc/apt/sources.list.d/*.sources /etc/apt/sources.list; do
    [ -e "$file" ] || continue
    uri=$(sed -nE 's/^URIs: *(\S+\/debian)\/?( .*)?$/\1/p; s/^deb +(\[[^]]*\] +)?(\S+\/debian)\/? .*/\2/p' "$file" | head -n 1)
    [ -z "$uri" ] || break
  done
  [ -n "$uri" ] || die "no Debian source found in /etc/apt to take docker from"
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$uri"
}

down_docker() {
  stop dockerd
  stop containerd
  unmount_below "$home/docker"
  unmount_below "$run"
}
