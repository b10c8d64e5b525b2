#!/bin/sh
# What somebody in a hurry would type instead of an update: the same sources, secrets and switch over one SSH connection.
#
#   bare.sh FOLDER NODE SSH-ARGUMENTS…
#
# FOLDER holds flake/, handover/ (settings, agent) and secrets/ (what lies in /var/lib/holdfast: host identity, place, sealed bundle).
#
# Left out, and therefore not in its time: everything that is decided before (configuration checked, secrets derived, certificate made), the host's
# own age identity and the sealing for it, the check whether the bundle is meant for this host, the watchdog and the proof over a second connection,
# keeping any state, and the gate: no wallet is made or restored.
set -e
folder=$1 node=$2
shift 2
tar --create --directory "$folder" flake handover secrets | ssh "$@" "
set -e
umask 077
rm -rf /root/bare
mkdir /root/bare
tar --extract --no-same-owner --directory /root/bare
built=\$(nix --extra-experimental-features 'nix-command flakes' build --no-link --print-out-paths --no-write-lock-file 'path:/root/bare/flake#holdfastSystems.$node' --override-input handover path:/root/bare/handover)
mkdir -p /var/lib/holdfast
cp /root/bare/secrets/* /var/lib/holdfast/
\"\$built/bin/switch-to-configuration\" test
nix-env --profile /nix/var/nix/profiles/system --set \"\$built\"
\"\$built/bin/switch-to-configuration\" boot
"
