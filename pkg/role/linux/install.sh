# Installs packages. $1 "install", $2 folder of our own state, $3 apt, dnf or yum, $4 "1" = services must not start, then
# the packages.
# All in one pair of braces: the shell has read it to its end before it starts, so nothing in it eats the script.
{
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
DEBIAN_FRONTEND=noninteractive
NEEDRESTART_SUSPEND=1
export LC_ALL PATH DEBIAN_FRONTEND NEEDRESTART_SUSPEND
manager=$3
quiet=$4
shift 4
policy=/usr/sbin/policy-rc.d
sign='# kubeclamp: no service starts while packages are installed'

allow() { # take our ban away, also one that a run left behind which was killed
	[ -f "$policy" ] && grep -qF "$sign" "$policy" && rm -f "$policy"
	[ -e "$policy.kubeclamp" ] && mv -f "$policy.kubeclamp" "$policy"
	return 0
}
forbid() {
	[ -e "$policy" ] && mv -f "$policy" "$policy.kubeclamp"
	printf '#!/bin/sh\n%s\nexit 101\n' "$sign" >"$policy.new" && chmod 0755 "$policy.new" && mv -f "$policy.new" "$policy"
}
holder() { # pid and name of who holds a lock of apt or dpkg, found by inode in /proc/locks
	for f in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock; do
		i=$(stat -c %i "$f" 2>/dev/null) || continue
		pid=$(awk -v i=":$i" '$2 != "->" && substr($6, length($6) - length(i) + 1) == i { print $5; exit }' /proc/locks 2>/dev/null)
		[ -n "$pid" ] || continue
		echo "$f is held by $(cat "/proc/$pid/comm" 2>/dev/null || echo 'a process') (pid $pid)"
		return 0
	done
	return 1
}
await_lock() {
	end=$(($(date +%s) + 300))
	last=
	while h=$(holder); do
		[ "$h" = "$last" ] || echo "waiting: $h" >&2
		last=$h
		if [ "$(date +%s)" -ge "$end" ]; then
			echo "gave up after 5 minutes: $h: let it end, or stop it, and run again" >&2
			exit 1
		fi
		sleep 1
	done
}
fresh() { # lists younger than an hour, and every package known
	[ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -mmin -60 -print -quit 2>/dev/null)" ] || return 1
	for p; do apt-cache show -- "$p" >/dev/null 2>&1 || return 1; done
}
apt() {
	await_lock
	apt-get -y -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 \
		-o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-install-recommends "$@"
}

trap allow EXIT
trap 'exit 143' HUP INT TERM
allow
case $manager in
apt)
	if ! fresh "$@"; then
		apt update || exit 1
	fi
	[ "$quiet" = 1 ] && forbid
	dpkg --audit | grep -q . && { await_lock; dpkg --configure -a --force-confdef --force-confold || exit 1; }
	apt install -- "$@" >/dev/null || exit 1
	;;
dnf | yum) "$manager" -y -q --setopt=install_weak_deps=False install -- "$@" >/dev/null || exit 1 ;;
*)
	echo "no package manager $manager" >&2
	exit 1
	;;
esac
} </dev/null
