
# Digital Rebar's lists the keys of attrs.json.
get_keys() { __at 'if type == "object" then keys[] else empty end' "$1"; }

lookup_attrib_map() { jq -r --arg name "$1" '.[$name] // ""' "$TMPDIR/maps.json"; }

get_attr() {
    local __map
    __map=$(lookup_attrib_map "$1")
    [[ $__map ]] || { echo "get_attr: there is no attrib $1 here" >&2; return 1; }
    read_attribute "$__map"
}

put_attr() {
    local __map
    __map=$(lookup_attrib_map "$1")
    [[ $__map ]] || { echo "put_attr: there is no attrib $1 here" >&2; return 1; }
    write_attribute "$__map" "$2"
}

need_reboot() { write_attribute rebar_wall/need_reboot true; }

# An address and a port as one word, as URLs have it.
addr_port() {
    case $1 in
        *:*) printf '[%s]:%s\n' "$1" "$2" ;;
        *) printf '%s:%s\n' "$1" "$2" ;;
    esac
}

OS_TYPE=$(. /etc/os-release && printf '%s' "$ID")
OS_VER=$(. /etc/os-release && printf '%s' "${VERSION_ID:-}")
OS_NAME=$OS_TYPE-$OS_VER
case " $OS_TYPE $(. /etc/os-release && printf '%s' "${ID_LIKE:-}") " in
    *" debian "* | *" ubuntu "*) OS_FAMILY=debian ;;
    *" rhel "* | *" fedora "* | *" centos "*) OS_FAMILY=rhel ;;
    *" suse "* | *" opensuse "*) OS_FAMILY=suse ;;
    *) OS_FAMILY=$OS_TYPE ;;
esac
if [[ -d /run/systemd/system ]]; then INITSTYLE=systemd; elif [[ -d /etc/init ]]; then INITSTYLE=upstart; else INITSTYLE=sysv; fi
export OS_TYPE OS_VER OS_NAME OS_FAMILY INITSTYLE

# Packages and services that other systems call otherwise: add_pkgalt NAME SYSTEM THERE, where SYSTEM is a type, a family or a name.
declare -A __pkgalt __svcalt
add_pkgalt() { __pkgalt["$2/$1"]=$3; }
add_svcalt() { __svcalt["$2/$1"]=$3; }

__pkg() {
    local __os
    for __os in "$OS_NAME" "$OS_TYPE" "$OS_FAMILY"; do
        [[ ${__pkgalt["$__os/$1"]:-} ]] && { printf '%s' "${__pkgalt["$__os/$1"]}"; return 0; }
    done
    printf '%s' "$1"
}

__svc() {
    local __os
    for __os in "$OS_NAME" "$OS_TYPE" "$OS_FAMILY"; do
        [[ ${__svcalt["$__os/$1"]:-} ]] && { printf '%s' "${__svcalt["$__os/$1"]}"; return 0; }
    done
    printf '%s' "$1"
}

install() {
    local __one __all=()
    for __one in "$@"; do __all+=("$(__pkg "$__one")"); done
    case $OS_FAMILY in
        debian) apt-get -y update && apt-get -y install "${__all[@]}" ;;
        rhel) yum -y install "${__all[@]}" ;;
        suse) zypper --non-interactive install "${__all[@]}" ;;
        *) echo "install: no package manager is known for $OS_NAME" >&2; return 1 ;;
    esac
}

service() {
    local __name
    __name=$(__svc "$1")
    if [[ $INITSTYLE = systemd ]]; then
        systemctl "$2" "$__name.service"
    else
        command service "$__name" "$2"
    fi
}
