# shellcheck shell=bash
up_buildkitd() { :; }
down_buildkitd() { :; }
