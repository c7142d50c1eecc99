# The names of all elements, as the binary finds them that is completed.
__safedib_elements() {
    local binary
    binary=$(readlink -f -- "$(type -P -- "${COMP_WORDS[0]}")")
    [[ ${binary##*/} == safedib ]] || binary=safedib
    "$binary" completions --elements 2>/dev/null
}

# Offers what a word can be: KIND [WORD...]
__safedib_offer() {
    local kind=$1 before=
    shift
    case $kind in
    words) mapfile -t COMPREPLY < <(compgen -W "$*" -- "$cur") ;;
    list)
        [[ $cur != *,* ]] || before=${cur%,*},
        mapfile -t COMPREPLY < <(compgen -P "$before" -W "$*" -- "${cur##*,}")
        compopt -o nospace 2>/dev/null
        ;;
    elements) mapfile -t COMPREPLY < <(compgen -W "$(__safedib_elements)" -- "$cur") ;;
    files)
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        compopt -o filenames 2>/dev/null
        ;;
    directories)
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        compopt -o filenames 2>/dev/null
        ;;
    esac
}

__safedib() {
    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local command=${COMP_WORDS[0]##*/} at word found attached=
    COMPREPLY=()
    # bash hands over `--option=value` as three words.
    if [[ $cur == = ]]; then
        cur='' attached=1
    elif [[ $before == = ]] && ((COMP_CWORD > 1)); then
        before=${COMP_WORDS[COMP_CWORD - 2]} attached=1
    fi
    for ((at = 1; at < COMP_CWORD; at++)); do
        [[ $command == safedib || $command == plan ]] || break
        word=${COMP_WORDS[at]}
        [[ $word == -* ]] || command=$word
    done
    if found=$(__safedib_value "$command" "$before") && [[ $attached || $found != attached* ]]; then
        # shellcheck disable=SC2086  # a kind and its words
        __safedib_offer ${found#attached }
    elif [[ $cur == -* ]]; then
        __safedib_offer words "$(__safedib_options "$command")"
        [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace 2>/dev/null
    else
        # shellcheck disable=SC2046
        __safedib_offer $(__safedib_operands "$command")
    fi
    return 0
}
