# The names of all elements, as the binary finds them that is completed.
_safedib_elements() {
    local -a elements=(${(f)"$($safedib_binary completions --elements 2>/dev/null)"})
    compadd "$@" -a elements
}

# The words of the command that is the first one now.
_safedib_rest() {
    (( $+functions[_safedib_of_$words[1]] )) && _safedib_of_$words[1]
}

_safedib_of_safedib() {
    _arguments -s -A '-*' \
        '(- *)'{-h,--help}'[show the commands]' \
        '(- *)'{-V,--version}'[show the version]' \
        '1:command:_safedib_commands' \
        '*::argument:_safedib_rest'
}

_safedib() {
    local safedib_binary=${commands[$service]:A}
    [[ ${safedib_binary:t} == safedib ]] || safedib_binary=safedib
    _safedib_of_$service
}
