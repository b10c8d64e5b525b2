# What a system changes on its machine besides units: users, the settings' link, who may log in. Run again and again, it changes nothing more.
set -euo pipefail
export PATH=/usr/sbin:/usr/bin
toplevel=${1:?wants the system that it activates}

point() { ln -sfn "$1" "$2.new"; mv -T "$2.new" "$2"; }

if [[ -e $toplevel/etc/holdfast/settings.json ]]; then
  # Fixed numbers, so that a data volume means the same owners on the next machine.
  systemd-sysusers --inline \
    'u bitcoin 700 "Bitcoin" /var/lib/btcd' \
    'g bitcoinrpc-public 702' \
    'u lnd 701 "LND" /var/lib/lnd' \
    'm lnd bitcoinrpc-public'
  mkdir -p /etc/holdfast
  install -d -m 0700 /var/lib/holdfast /run/holdfast
  point "$toplevel/etc/holdfast/settings.json" /etc/holdfast/settings.json
else
  rm -f /etc/holdfast/settings.json
fi
point "$toplevel" /run/current-system
