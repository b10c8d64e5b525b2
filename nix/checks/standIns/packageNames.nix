# What modules may ask nixpkgs for. A name that is not here is an error: add it when it is really one of nixpkgs' packages.
[
  "age" "bash" "bashInteractive" "bitcoin" "bitcoind" "bitcoind-knots" "btcpayserver" "charge-lnd" "clboss" "clightning" "coreutils" "cryptsetup" "curl" "dash" "dbus" "dhcpcd" "dig"
  "dnsutils" "duplicity" "e2fsprogs" "electrs" "elementsd" "extra-container" "findutils" "fulcrum" "gawk" "getent" "git" "gnugrep" "gnupg" "gnused" "gnutar" "gocryptfs" "gptfdisk"
  "gzip" "iproute2" "iptables" "jq" "kmod" "lightning-loop" "lightning-pool" "lnd" "lndconnect" "lvm2" "mariadb" "mdadm" "netcat" "nftables" "nginx" "nix" "nodejs" "nodejs-slim" "nodejs_22"
  "nodejs-slim_22" "nodejs_24" "nodejs-slim_24" "openssh" "openssl" "parted" "postgresql" "procps" "pwgen" "qrencode" "redis" "restic" "shadow" "sqlite" "sshfs" "systemd" "systemdMinimal" "tor"
  "torsocks" "usbutils" "util-linux" "vim" "wireguard-tools" "xxd" "xz"
]
