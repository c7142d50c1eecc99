#!/bin/bash
# Merges the hooks of elements with upstream's own generate_hooks.
#
# usage: merge_upstream.sh PACKAGE DIRECTORY NAME=PATH...
#
# PACKAGE is the diskimage_builder package of 3.43.0. The tree is left in
# DIRECTORY/hooks. Printed are the hooks that run, as PHASE.d/NAME in upstream's
# order, and then the files of environment.d in theirs.
set -eu
set -o pipefail

package=$1
directory=$2
export TMP_HOOKS_PATH=$directory/hooks
shift 2
array=
for element in "$@"; do
    array+="[${element%%=*}]=${element#*=} "
done
get_image_element_array() {
    echo "$array"
}

export _LIB=$package/lib
# shellcheck disable=SC1091
source "$_LIB/common-functions"
# Its message about duplicates names a variable that nothing sets.
_ELEMENT=
generate_hooks >&2

for phase in root extra-data pre-install install post-install post-root block-device pre-finalise finalise cleanup; do
    if [ -d "$TMP_HOOKS_PATH/$phase.d" ]; then
        "$_LIB/dib-run-parts" --list "$TMP_HOOKS_PATH/$phase.d" | sed "s,^$TMP_HOOKS_PATH/,,"
    fi
done
# The order is asked of empty files: nothing of what is sourced may take effect.
mkdir -p "$directory/sourced/environment.d" "$directory/sourced/nothing.d"
if [ -d "$TMP_HOOKS_PATH/environment.d" ]; then
    find "$TMP_HOOKS_PATH/environment.d" -maxdepth 1 -xtype f -printf '%f\0' |
        (cd "$directory/sourced/environment.d" && xargs -0 -r touch --)
fi
"$_LIB/dib-run-parts" "$directory/sourced/nothing.d" 2>&1 |
    sed -n 's,.*Sourcing environment file .*/\([^/]*\)$,environment.d/\1,p'
