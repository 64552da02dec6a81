# Does a list of operations, in order, each with a fixed number of arguments. $1 "make", $2 folder of our own state.
# Stops at the first that cannot be done and says which and why.
# All in one pair of braces: the shell has read it to its end before it starts, so nothing in it eats the script.
{
set -f
LC_ALL=C
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL PATH
state=$2
shift 2

die() {
	printf '%s\n' "$*" >&2
	exit 1
}
state_dirs() { [ -d "$state/pending" ] && [ -d "$state/artifacts" ] || mkdir -p "$state/pending" "$state/artifacts"; }
make_dir() {
	[ -d "$1" ] || mkdir -p -- "$1" || return 1
	chmod "$2" -- "$1" && chown "$3" -- "$1"
}
make_link() {
	rm -f -- "$1.kubeclamp" && ln -s -- "$2" "$1.kubeclamp" && mv -fT -- "$1.kubeclamp" "$1"
}
make_user() {
	getent passwd -- "$1" >/dev/null && return 0
	g=--user-group
	getent group -- "$1" >/dev/null && g="--gid=$1"
	useradd --system "$g" --home-dir "$2" --no-create-home --shell /usr/sbin/nologin -- "$1"
}
make_group() { getent group -- "$1" >/dev/null || groupadd --system -- "$1"; }
stamp() {
	l=$(stat -c '%s %.9Y' -- "$3") && printf '%s %s\n' "$2" "$l" >"$1.new" && mv -f -- "$1.new" "$1"
}
keep() { # a binary that is what its stamp says, and of another content than will come
	[ -f "$1" ] && [ -f "$2" ] || return 0
	read -r sum rest <"$2"
	[ "$sum" != "$4" ] && [ "$rest" = "$(stat -c '%s %.9Y' -- "$1")" ] || return 0
	[ -d "${3%/*}" ] || mkdir -p -- "${3%/*}" || return 1
	rm -f -- "$3" "$3.stamp"
	ln -- "$1" "$3" 2>/dev/null || cp -p -- "$1" "$3" || return 1
	cp -- "$2" "$3.stamp"
}
back() { # the binary that was kept
	[ -f "$3" ] && [ -f "$3.stamp" ] || die "back $1: nothing was kept"
	[ "$1" -ef "$3" ] || { { ln -f -- "$3" "$1.new" 2>/dev/null || cp -p -- "$3" "$1.new"; } && mv -f -- "$1.new" "$1"; } || return 1
	cp -- "$3.stamp" "$2.new" && mv -f -- "$2.new" "$2"
}
set_sysctl() {
	p=/proc/sys/$(printf %s "$1" | tr . /)
	[ -e "$p" ] || die "sysctl $1: this kernel has no such setting; is a module missing?"
	[ -w "$p" ] || die "sysctl $1 is read-only here: set it to $2 on the machine that this node's kernel belongs to"
	printf '%s\n' "$2" >"$p" || die "sysctl $1: the kernel refuses $2"
}
unban() { # what an installation left behind that was killed
	p=/usr/sbin/policy-rc.d
	[ ! -f "$p" ] || ! grep -q '^# kubeclamp: ' "$p" || rm -f "$p"
	[ ! -e "$p.kubeclamp" ] || mv -f "$p.kubeclamp" "$p"
}
active() { systemctl show --no-pager -p ActiveState --value -- "$1"; }
known() { [ "$(systemctl show --no-pager -p LoadState --value -- "$1")" != not-found ]; }
tail_log() {
	journalctl --no-pager -q -n 20 -o cat -u "$1" 2>/dev/null
}
await_unit() {
	end=$(($(date +%s) + $2))
	while :; do
		s=$(active "$1")
		case $s in
		active) return 0 ;;
		failed)
			tail_log "$1" >&2
			die "unit $1 has failed; its last lines are above"
			;;
		esac
		if [ "${3-}" ] && [ "$(systemctl show --no-pager -p NRestarts --value -- "$1")" -ge "$3" ]; then
			tail_log "$1" >&2
			die "unit $1 ended $3 times right after its start; its last lines are above"
		fi
		if [ "$(date +%s)" -ge "$end" ]; then
			tail_log "$1" >&2
			die "unit $1 is $s after $2 s, and not active; its last lines are above"
		fi
		sleep 0.1
	done
}
begin() { # start or restart, whatever failed before
	systemctl reset-failed -- "$2" 2>/dev/null
	systemctl --no-block --no-ask-password "$1" -- "$2"
}

while [ $# -gt 0 ]; do
	op=$1
	case $op in
	keep) n=4 ;;
	dir | stamp | back) n=3 ;;
	own) n=3 ;;
	user | link | sysctl | await | steady) n=2 ;;
	daemon-reload | unban) n=0 ;;
	*) n=1 ;;
	esac
	shift
	[ $# -ge $n ] || die "$op: arguments are missing"
	case $op in
	dir) make_dir "$1" "$2" "$3" ;;
	parent) [ -d "$1" ] || mkdir -p -- "$1" ;;
	own) chmod "$2" -- "$1" && chown "$3" -- "$1" ;;
	link) make_link "$1" "$2" ;;
	rm) rm -rf -- "$1" ;;
	rmdir) [ ! -d "$1" ] || rmdir -- "$1" 2>/dev/null || true ;;
	user) make_user "$1" "$2" ;;
	group) make_group "$1" ;;
	mark) state_dirs && : >"$state/pending/$1" ;;
	unmark) rm -f -- "$state/pending/$1" ;;
	stamp) state_dirs && stamp "$1" "$2" "$3" ;;
	module) modprobe -- "$1" ;;
	sysctl) set_sysctl "$1" "$2" ;;
	daemon-reload) systemctl daemon-reload ;;
	unban) unban ;;
	enable) systemctl --quiet enable -- "$1" ;;
	disable) ! known "$1" || systemctl --quiet disable -- "$1" ;;
	start) begin start "$1" ;;
	restart) begin restart "$1" ;;
	reload) systemctl --no-block reload-or-restart -- "$1" ;;
	stop) systemctl stop -- "$1" ;;
	await) await_unit "$1" "$2" ;;
	steady) await_unit "$1" "$2" 3 ;;
	keep) keep "$1" "$2" "$3" "$4" ;;
	back) back "$1" "$2" "$3" ;;
	*) die "unknown operation $op" ;;
	esac || die "$op ${1-}: could not be done; why is above"
	shift $n
done
} </dev/null
