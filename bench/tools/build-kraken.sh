#!/bin/bash
# Builds Uber Kraken's agent, tracker and origin for the fan-out of the benchmark suite: build-kraken.sh
# [FOLDER]. Needs Go and gcc; the Go module client fetches the source, and its checksum database vouches
# for it. Three programs are left in FOLDER, and nothing else but the Go client's own caches.
set -eu

VERSION=v0.1.4
SECONDS_MAX=1800

usage="usage: $0 [FOLDER]; without one: \$KRAKEN_BIN, else \${XDG_CACHE_HOME:-~/.cache}/sealift/kraken"
case "${1:-}" in -*)
  echo "$usage" >&2
  exit 2
  ;;
esac
folder=$(realpath -m "${1:-${KRAKEN_BIN:-${XDG_CACHE_HOME:-$HOME/.cache}/sealift/kraken}}")
for tool in go gcc timeout; do
  command -v "$tool" >/dev/null || { echo "$0 needs $tool" >&2 && exit 1; }
done

# The Go client's copy is read-only, and a build in it could not settle its list of modules.
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
cd "$source"
module=$(timeout "$SECONDS_MAX" go mod download -json "github.com/uber/kraken@$VERSION" |
  sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p')
cp -r --no-preserve=mode "$module/." .
mkdir -p "$folder"
timeout "$SECONDS_MAX" go build -buildvcs=false -trimpath -o "$folder/" ./agent ./tracker ./origin
echo "$folder/agent $folder/tracker $folder/origin"
