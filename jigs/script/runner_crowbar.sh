
# OpenCrowbar's lists what has been written so far.
get_keys() {
    local __key
    for __key in "$TMPDIR/attrs/$1"/*/; do
        __key=${__key%/}
        printf '%s\n' "${__key##*/}"
    done
}

set -o xtrace
