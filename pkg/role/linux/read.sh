# Reads everything that a plan needs. $1 "read", $2 folder of our own state; then one argument for each list, its items
# one a line: paths, paths to hash, stamps, units, deb packages, rpm packages, sysctls, modules, users, groups; then the
# probes: name, script, number of arguments, arguments. Out: frames "NAME LENGTH\n" bytes "\n".
# All in one pair of braces: the shell has read it to its end before it starts, so nothing in it eats the script.
{
set -f
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
IFS='
'

frame() { printf '%s %d\n%s\n' "$1" "${#2}" "$2"; }
have() { command -v "$1" >/dev/null 2>&1; }

host() {
	echo "arch=$(uname -m)"
	echo "kernel=$(uname -r)"
	echo "hostname=$(cat /proc/sys/kernel/hostname 2>/dev/null || uname -n)"
	if [ -d /run/systemd/system ]; then echo init=systemd; else echo init=; fi
	if have apt-get; then echo packager=apt; elif have dnf; then echo packager=dnf; elif have yum; then echo packager=yum; else echo packager=; fi
	if [ -f /sys/fs/cgroup/cgroup.controllers ]; then echo cgroup=2; elif [ -d /sys/fs/cgroup ]; then echo cgroup=1; else echo cgroup=0; fi
	[ -f /usr/sbin/policy-rc.d ] && grep -q '^# kubeclamp: ' /usr/sbin/policy-rc.d && echo banned=1
	echo "now=$(date +%s.%N)"
}

stats() { [ $# -gt 0 ] && stat -c '%f %a %U %G %s %.9Y %n' -- "$@" 2>/dev/null; }
hashes() { [ $# -gt 0 ] && sha256sum -- "$@" 2>/dev/null; }
links() { for p; do [ -L "$p" ] && printf '%s\n%s\n' "$p" "$(readlink -- "$p")"; done; }
stamps() { for p; do l=; [ -f "$p" ] && read -r l <"$p"; printf '%s\n' "$l"; done; }
marks() {
	set +f
	for p in "$1"/*; do [ -f "$p" ] && printf '%s\n' "${p##*/}"; done
	set -f
}
units() {
	[ $# -gt 0 ] && [ -d /run/systemd/system ] &&
		systemctl show --no-pager -p LoadState -p ActiveState -p SubState -p Result -p UnitFileState -p NeedDaemonReload -p NRestarts -p MainPID -p FragmentPath -- "$@"
}
debs() { [ $# -gt 0 ] && have dpkg-query && dpkg-query -W -f '${Package} ${db:Status-Abbrev} ${Version}\n' -- "$@" 2>/dev/null; }
rpms() { [ $# -gt 0 ] && have rpm && rpm -q --qf '%{NAME} ii %{VERSION}-%{RELEASE}\n' -- "$@" 2>/dev/null; }
sysctls() {
	for k; do
		p=/proc/sys/$(printf %s "$k" | tr . /)
		[ -e "$p" ] || continue
		w=r
		[ -w "$p" ] && w=w
		printf '%s %s %s\n' "$k" "$w" "$(cat "$p" 2>/dev/null)"
	done
}
modules() {
	for m; do
		u=$(printf %s "$m" | tr - _)
		if [ -d "/sys/module/$u" ] || grep -q "^$u " /proc/modules 2>/dev/null ||
			grep -q "/$u\.ko" "/lib/modules/$(uname -r)/modules.builtin" 2>/dev/null; then
			echo "$m"
			continue
		fi
		case $u in # the kernel shows these without a module folder when they are built in
		overlay) grep -q 'overlay$' /proc/filesystems && echo "$m" ;;
		br_netfilter) [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ] && echo "$m" ;;
		nf_conntrack) [ -e /proc/sys/net/netfilter/nf_conntrack_max ] && echo "$m" ;;
		esac
	done
}
users() { [ $# -gt 0 ] && getent passwd -- "$@"; }
groups_() { [ $# -gt 0 ] && getent group -- "$@"; }
probe() {
	PROBE=$1
	unset IFS
	set +f
	shift
	eval "$PROBE"
}

frame os "$(cat /etc/os-release 2>/dev/null)"
frame host "$(host)"
frame marks "$(marks "$2/pending")"
frame stat "$(stats $3)"
frame link "$(links $3)"
frame sha256 "$(hashes $4)"
frame stamp "$(stamps $5)"
frame unit "$(units $6)"
frame package "$(debs $7; rpms $8)"
frame sysctl "$(sysctls $9)"
frame module "$(modules ${10})"
frame user "$(users ${11})"
frame group "$(groups_ ${12})"
shift 12
while [ $# -ge 3 ]; do
	name=$1
	script=$2
	n=$3
	shift 3
	out=$(
		j=0
		for a; do # turn the list round once and keep the first n
			shift
			[ "$j" -lt "$n" ] && set -- "$@" "$a"
			j=$((j + 1))
		done
		(probe "$script" "$@")
		printf ' %d' $?
	)
	frame "probe:$name" "$out"
	shift "$n"
done
frame end ""
} </dev/null
