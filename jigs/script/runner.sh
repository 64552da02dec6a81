# Runs the scripts of one role on this node: bash runner FOLDER ROLE. FOLDER has attrs.json and ROLE/*.sh; what the scripts give
# back goes to FOLDER/attrs, what they print to FOLDER/logs too. It ends with the first status that is not 0.
exec 2>&1
unset "${!KUBECLAMP_@}" # what our own server says beside: no script was written with it
export PS4='${BASH_SOURCE}@${LINENO}(${FUNCNAME[0]}): '
set -o pipefail -o errexit
shopt -s nullglob extglob globstar
export TMPDIR="$1" ROLE="$2"
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
export LC_ALL=C LANGUAGE=C LANG=C
mkdir -p "$TMPDIR/attrs" "$TMPDIR/logs"

# jq on attrs.json: $1 is what to do at the place .; $2 is the path of the place, in which whole numbers count in lists.
__at() {
    jq -r -c --arg path "$2" '
        ($path | split("/") | map(select(. != "") | if test("^[0-9]+$") then tonumber else . end)) as $at
        | getpath($at) | '"$1" "$TMPDIR/attrs.json"
}

# What is written for a path is one file; a path that leads elsewhere is refused.
__wall() {
    case "/$1/" in
        //* | */../* | */./* | *//*) echo "write_attribute: $1 is no path of an attribute" >&2; return 1 ;;
    esac
    mkdir -p "$TMPDIR/attrs/$1"
    printf '%s' "$TMPDIR/attrs/$1/wall"
}

has_attribute() { [[ $(__at 'if . == null then "no" else "yes" end' "$1") = yes ]]; }

read_attribute() { __at 'if . == null then "" else . end' "$1"; }

read_attribute_file_content() { read_attribute "$1" >"$2"; }

write_attribute() {
    local __file
    __file=$(__wall "$1") || return 1
    printf '%s\n' "$2" >"$__file"
}

write_attribute_file_content() {
    local __file
    __file=$(__wall "$1") || return 1
    cat -- "$2" >"$__file"
}
