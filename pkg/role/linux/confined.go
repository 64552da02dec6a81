package linux

// Confined is lines of a unit's [Service] section, the last one ended: a file system that the service cannot write, no
// devices, no kernel settings, no sockets but of IP, Unix and netlink. User and capabilities are the unit's own to say.
const Confined = `NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
`
