# What a file of environment.d finds: it is sourced by the shell that then starts
# the hooks, so it takes back whatever it sets.

# shellcheck disable=SC2154  # target_dir is the engine's
_witness_options=$- _witness_phase=$(basename "$target_dir")
set +o xtrace
_witness_tree=${TMP_MOUNT_PATH:-}
[ -d "$_witness_tree" ] || _witness_tree=
mkdir -p "$_witness_tree/witness"
{
    printf '%s\0' "shell:\$-=$_witness_options" "shell:\$0=$0" "shell:\$#=$#"
    printf '%s\0' "shell:set=$(shopt -p; shopt -po | grep -v xtrace)" "shell:trap=$(trap -p)"
    printf '%s\0' "shell:source=${BASH_SOURCE[0]}" "process:umask=$(umask)" "process:cwd=$PWD"
    printf '%s\0' "shell:IFS=$IFS" "shell:functions=$(declare -Fx)"
    for _witness_name in $(compgen -e); do
        printf '%s\0' "env:$_witness_name=${!_witness_name}"
    done
} >"$_witness_tree/witness/$_witness_phase.environment"
unset _witness_options _witness_phase _witness_tree _witness_name
