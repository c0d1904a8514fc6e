# What tests put into roots until there are packages for it: Debian's static busybox.
# shellcheck shell=bash disable=SC2154

up_standins() { apt_install busybox-static; }

down_standins() { :; }
