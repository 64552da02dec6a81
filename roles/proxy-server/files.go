package proxyserver

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

const rotateFile = "/etc/logrotate.d/kubeclamp-proxy"

// squidConf allows plain HTTP to port 80 and tunnels to port 443, for the networks given, and a tunnel to the proxy itself,
// by which its health is asked. Loopback and link-local targets are refused: a proxy must not be a way into its own host.
func squidConf(c config, user string) string {
	port := strconv.Itoa(c.Port)
	host, _, _ := net.SplitHostPort(c.addr())
	return fmt.Sprintf(`http_port %[1]s
visible_hostname %[2]s
cache_effective_user %[3]s
cache_effective_group %[3]s
pid_filename %[4]s/squid.pid
coredump_dir %[5]s
cache_dir ufs %[5]s %[6]d 16 256
cache_mem 64 MB
maximum_object_size 2 GB
cache_replacement_policy heap LFUDA
access_log stdio:%[7]s/access.log
cache_log %[7]s/cache.log
logfile_rotate 0
netdb_filename none
pinger_enable off
shutdown_lifetime 1 seconds
via off
forwarded_for delete

acl nodes src %[8]s %[9]s
acl web port 80
acl tls port 443
acl tunnel method CONNECT
acl self dst %[9]s
acl self_port port %[10]s
acl inside dst 127.0.0.0/8 ::1 169.254.0.0/16 fe80::/10 0.0.0.0/8

http_access deny !nodes
http_access deny manager
http_access allow tunnel self self_port
http_access deny inside
http_access allow tunnel tls
http_access deny tunnel
http_access allow web
http_access deny all

refresh_pattern -i \.(deb|udeb|rpm|xz|gz|bz2|zst)$ 129600 100%% 129600
refresh_pattern -i /(InRelease|Release|Release\.gpg|repomd\.xml)$ 0 20%% 10
refresh_pattern . 0 20%% 4320
`, net.JoinHostPort(c.Listen, port), c.node, user, runDir, cacheDir, c.CacheMB, logDir, strings.Join(c.Allow, " "), host, port)
}

// unit runs squid in the foreground, so that systemd sees it end.
const unit = `[Unit]
Description=Caching proxy of the nodes
After=network-online.target
Wants=network-online.target

[Service]
Type=simple
RuntimeDirectory=kubeclamp-proxy
RuntimeDirectoryPreserve=yes
ExecStartPre=squid -n kubeclamp -z -N -f ` + confFile + `
ExecStart=squid -n kubeclamp --foreground -f ` + confFile + `
ExecReload=/bin/kill -HUP $MAINPID
Restart=always
RestartSec=1
TimeoutStopSec=15

[Install]
WantedBy=multi-user.target
`

func rotate(user string) string {
	return logDir + `/*.log {
	daily
	rotate 3
	maxsize 50M
	missingok
	notifempty
	compress
	su ` + user + ` ` + user + `
	copytruncate
}
`
}
