#!/bin/sh
# Records the captures of this folder again: real TCP connections of this machine's kernel, over an emulated path.
# Needs root (each end is a network namespace with a TUN device), iproute2 and Rust; takes some two minutes.
# usage: captures/record.sh [SCENARIO...]
set -eu
cd "$(dirname "$0")/.."
cargo build --release -p record
recorder="${CARGO_TARGET_DIR:-target}/release/record"
# On a busy machine the packets are carried in time only with priority over everything else.
if command -v chrt >/dev/null; then
    exec chrt --fifo 10 "$recorder" captures "$@"
fi
exec "$recorder" captures "$@"
