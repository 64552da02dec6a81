# Takes off what the kubelet and kube-proxy made on the node while they ran. $1: names of our images, one a line.
# All three units are stopped here first, so that nothing is made again.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
have() { command -v "$1" >/dev/null 2>&1; }
for u in kubelet kube-proxy kubeclamp-lb; do
	[ "$(systemctl show -p LoadState --value "$u")" = not-found ] || systemctl stop "$u" || exit 1
done

k() { ctr --connect-timeout 5s --timeout 60s -n k8s.io "$@" 2>/dev/null; }
if have ctr && [ -S /run/containerd/containerd.sock ]; then
	for t in $(k tasks ls -q); do
		k tasks kill -s KILL -a "$t" >/dev/null
	done
	for c in $(k containers ls -q); do
		k tasks delete -f "$c" >/dev/null 2>&1
		k containers delete "$c" >/dev/null 2>&1
	done
	printf '%s\n' "$1" | while read -r i; do # the engine knows each under its name and under its digest
		d=$(k images ls "name==$i" | awk 'NR == 2 { print $3 }')
		[ -z "$d" ] || for r in $(k images ls -q "target.digest==$d"); do k images delete "$r" >/dev/null 2>&1; done
	done
fi

have kube-proxy && kube-proxy --cleanup >/dev/null 2>&1
for ip in iptables ip6tables; do
	have "$ip-save" || continue
	old=$("$ip-save" 2>/dev/null)
	case $old in *KUBE-* | *CNI-*) printf '%s\n' "$old" | grep -Ev 'KUBE-|CNI-' | "$ip-restore" || exit 1 ;; esac
done

awk '$2 ~ "^/var/lib/kubelet/" { print $2 }' /proc/mounts | sort -r | while read -r m; do umount -l -- "$m"; done
for n in /run/netns/cni-*; do
	[ -e "$n" ] || continue
	umount -l -- "$n" 2>/dev/null
	rm -f -- "$n"
done
rm -rf --one-file-system /var/lib/cni/networks /var/lib/cni/results /var/log/pods /var/log/containers /var/lib/kube-proxy \
	/var/lib/kubeclamp/images /var/lib/kubeclamp-lb /var/lib/private/kubeclamp-lb
rm -rf --one-file-system /var/lib/kubelet 2>/dev/null || find /var/lib/kubelet -mindepth 1 -xdev -delete
