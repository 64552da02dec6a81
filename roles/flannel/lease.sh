#!/bin/sh
# Hands the subnet that flannel has leased down to CNI and Docker. flanneld.service runs it each time it has a lease, so
# that both follow a lease that changes; the role runs it with "check", which says what is stale and changes nothing.
#
# The node's subnet is cut in two: pods get the lower half (bridge cni0), Docker's own containers the upper one (docker0).
# Both are inside the lease, so other nodes route to both, and no address belongs to two bridges.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
do=${1:-apply}
lease=${FLANNEL_LEASE_FILE:-/run/flannel/subnet.env}
conflist=${FLANNEL_CONFLIST:-/etc/cni/net.d/10-kubeclamp.conflist}
docker=${FLANNEL_DOCKER_ENV:-/etc/flannel/docker.env}

value() { sed -n "s/^$1=//p" "$lease" | head -n 1; }
number() { # a.b.c.d -> number
	IFS=.
	set -- $1
	unset IFS
	echo $((($1 << 24) | ($2 << 16) | ($3 << 8) | $4))
}
dotted() { echo "$(($1 >> 24 & 255)).$(($1 >> 16 & 255)).$(($1 >> 8 & 255)).$(($1 & 255))"; }

if [ ! -r "$lease" ]; then
	[ "$do" = check ] && echo "$lease" && exit 0
	echo "flannel has no lease: $lease is not there" >&2
	exit 1
fi
network=$(value FLANNEL_NETWORK)
subnet=$(value FLANNEL_SUBNET)
mtu=$(value FLANNEL_MTU)
length=${subnet#*/}
half=$((1 << (31 - length)))
low=$(($(number "${subnet%/*}") & ~(2 * half - 1)))
pods=$(dotted "$low")/$((length + 1))
gateway=$(dotted $((low + 1)))/$((length + 1))
bip=$(dotted $((low + half + 1)))/$((length + 1))

conflist_text() {
	cat <<END
{
  "cniVersion": "1.0.0",
  "name": "kubeclamp",
  "plugins": [
    {
      "type": "bridge",
      "bridge": "cni0",
      "isGateway": true,
      "isDefaultGateway": true,
      "hairpinMode": true,
      "ipMasq": false,
      "mtu": $mtu,
      "ipam": {
        "type": "host-local",
        "dataDir": "/run/kubeclamp/cni",
        "ranges": [[{ "subnet": "$pods" }]],
        "routes": [{ "dst": "$network" }]
      }
    },
    { "type": "portmap", "capabilities": { "portMappings": true }, "snat": true }
  ]
}
END
}
# flannel masquerades what leaves the overlay; Docker must not, or containers of other nodes would see this node's address.
docker_text() {
	direct=
	if [ "$do" = check ]; then
		grep -q -e --allow-direct-routing "$docker" 2>/dev/null && direct=' --allow-direct-routing'
	elif command -v dockerd >/dev/null && dockerd --help 2>/dev/null | grep -q -e --allow-direct-routing; then
		direct=' --allow-direct-routing'
	fi
	echo "DOCKER_NETWORK_OPTIONS=--bip=$bip --mtu=$mtu --ip-masq=false$direct"
}
same() { [ -f "$1" ] && [ "$(cat "$1")" = "$2" ]; }
write() { # file, text: true if it was changed
	same "$1" "$2" && return 1
	mkdir -p "${1%/*}"
	printf '%s\n' "$2" >"$1.new"
	sync "$1.new" 2>/dev/null || :
	mv -f "$1.new" "$1"
}
untouched() { [ -n "${FLANNEL_TOUCH_NOTHING-}" ]; } # files alone: for tests
address() { untouched || ip -4 -o address show dev "$1" 2>/dev/null | sed -n 's/.* inet \([^ ]*\) .*/\1/p' | head -n 1; }
docker_runs() { ! untouched && [ -d /run/systemd/system ] && systemctl is-active --quiet docker.service; }
docker_due() { # the bridge has another address than it should
	has=$(address docker0)
	docker_runs && [ "$has" != "$bip" ]
}
accept() { # Docker drops what comes from other nodes unless it is told otherwise
	command -v iptables >/dev/null || return 0
	iptables -w -n -L DOCKER-USER >/dev/null 2>&1 || return 0
	iptables -w -C DOCKER-USER -s "$network" -d "$network" -j ACCEPT 2>/dev/null ||
		iptables -w -I DOCKER-USER -s "$network" -d "$network" -j ACCEPT
}

case $do in
check)
	same "$conflist" "$(conflist_text)" || echo "$conflist"
	same "$docker" "$(docker_text)" || echo "$docker"
	if docker_due; then echo docker0; fi
	;;
apply)
	write "$conflist" "$(conflist_text)" || :
	has=$(address cni0)
	if [ -n "$has" ] && [ "$has" != "$gateway" ]; then
		echo "cni0 has $has and the lease says $gateway: the bridge is deleted, pods of this node have to be made anew" >&2
		ip link delete cni0
	fi
	write "$docker" "$(docker_text)" && changed=yes || changed=
	if docker_runs; then
		if [ -n "$changed" ] || docker_due; then systemctl --no-block restart docker.service; fi
		accept
	fi
	;;
docker-starts) # the engine may have been exchanged since the lease came
	write "$docker" "$(docker_text)" || :
	;;
docker-started)
	accept
	;;
*)
	echo "usage: $0 [apply|check|docker-starts|docker-started]" >&2
	exit 2
	;;
esac
