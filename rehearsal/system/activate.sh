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
    'm lnd bitcoinrpc-public' \
    'u tor 703 "Tor" /var/lib/tor' \
    'u clightning 704 "Core Lightning" /var/lib/clightning' \
    'u bunker 705 "Nostr signer" /var/lib/bunker'
  # Where the gate places identities: also of daemons that are not here.
  for user in tor clightning bunker; do install -d -o $user -g $user -m 0700 /var/lib/$user; done
  mkdir -p /etc/holdfast
  install -d -m 0700 /var/lib/holdfast /run/holdfast
  point "$toplevel/etc/holdfast/settings.json" /etc/holdfast/settings.json
  # On trial, or taken back from one: the secrets that go with this system, before any of its units starts.
  if compgen -G '/run/holdfast/activation.json*' > /dev/null; then "$toplevel/sw/bin/holdfast-agent" place-secrets < /dev/null; fi
else
  rm -f /etc/holdfast/settings.json
fi
point "$toplevel" /run/current-system
