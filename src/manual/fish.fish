# The command that is being completed: `safedib COMMAND` and `safedib plan
# COMMAND` are completed as COMMAND.
function __safedib_at
    set -l command safedib
    for word in (commandline -opc)[2..-1]
        contains -- $command safedib plan; or break
        string match -q -- '-*' $word; or set command $word
    end
    test $command = $argv[1]
end

# The names of all elements, as the binary finds them that is completed.
function __safedib_elements
    set -l words (commandline -opc)
    set -l binary (command -s -- $words[1])
    test -n "$binary"; and set binary (realpath -- $binary)
    string match -q -- '*/safedib' "$binary"; or set binary safedib
    $binary completions --elements 2>/dev/null
end

# Words that are separated by commas.
function __safedib_list
    set -l typed (string replace -r -- '^--[^=]*=' '' (commandline -ct))
    set -l before (string match -r -- '^.*,' $typed)
    for word in $argv
        echo "$before$word"
    end
end
