#!/bin/sh
# update.sh [CARDINAL] - the page of all machines in this folder; CARDINAL: else build/cardinal
set -eu
cd "$(dirname "$0")/../../.."
"${1-build/cardinal}" compare --format html --output docs/results/machines.html docs/results/machines
