# qemu in user mode for the platforms that this machine does not run itself.
# shellcheck shell=bash disable=SC2154

up_emulation() {
  local arch missing=()
  for arch in aarch64 riscv64 x86_64; do
    [ "$arch" = "$(uname -m)" ] || binfmt_is_on "$arch" || missing+=("$arch")
  done
  [ "${#missing[@]}" -gt 0 ] || return 0
  apt_install qemu-user-static binfmt-support
  if [ ! -e /proc/sys/fs/binfmt_misc/register ]; then
    mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc ||
      die "this kernel has no binfmt_misc: ${missing[*]} can't be run here"
  fi
  for arch in "${missing[@]}"; do
    binfmt_is_on "$arch" && continue
    update-binfmts --enable "qemu-$arch" >"$home/log/binfmt.log" 2>&1 ||
      failed "update-binfmts --enable qemu-$arch" "$home/log/binfmt.log"
    printf '%s\n' "$arch" >>"$run/emulated"
    say "$arch runs through qemu"
  done
}

binfmt_is_on() { grep -qs '^enabled' "/proc/sys/fs/binfmt_misc/qemu-$1"; }

down_emulation() {
  local arch
  [ -e "$run/emulated" ] || return 0
  while read -r arch; do
    update-binfmts --disable "qemu-$arch" >/dev/null 2>&1 && say "$arch no longer runs here"
  done <"$run/emulated"
  rm -f "$run/emulated"
}
