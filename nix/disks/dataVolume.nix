# The bulk of the data on a volume of its own, encrypted under the secret `data-volume-key`: it outlives the host, and is of no use without the stack's roots.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.holdfast.disks;
  secrets = "nix-bitcoin-secrets.target";
  mount = "/run/holdfast-data";

  # What can be downloaded or computed again. Channels and keys stay on the root.
  bulk = lib.filter (name: config.services.${name}.enable) [
    "bitcoind"
    "liquidd"
    "electrs"
    "fulcrum"
  ];
in
lib.mkIf (cfg.dataVolume != null) {
  systemd.services =
    lib.genAttrs bulk (_: {
      requires = [ "holdfast-data-volume.service" ];
      after = [ "holdfast-data-volume.service" ];
    })
    // {
      holdfast-data-volume = {
        description = "Holdfast: open the data volume";
        requires = [ secrets ];
        after = [ secrets ];
        wantedBy = [ "multi-user.target" ];
        restartIfChanged = false;
        path = [
          pkgs.cryptsetup
          pkgs.e2fsprogs
          pkgs.util-linux
          pkgs.coreutils
        ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          TimeoutStartSec = "10min";
          StandardInput = "null";
        };
        script = ''
          device=${lib.escapeShellArg cfg.dataVolume}
          key=${config.nix-bitcoin.secretsDir}/data-volume-key

          if ! cryptsetup isLuks "$device"; then
            # An empty volume becomes the node's. Anything else is somebody's, and stays.
            if [ -n "$(wipefs --no-act --noheadings "$device")" ] || [ "$(head --bytes=16M "$device" | tr --delete '\0' | wc --bytes)" != 0 ]; then
              echo "$device is neither empty nor a LUKS volume. If it may be used, wipe its first 16 MiB (blkdiscard, or dd from /dev/zero); otherwise name another as nixos.dataVolume." >&2
              exit 1
            fi
            cryptsetup luksFormat --batch-mode --type luks2 --key-file "$key" "$device"
          fi
          [ -e /dev/mapper/holdfast-data ] || cryptsetup open --key-file "$key" "$device" holdfast-data
          # blkid's 2: nothing is there.
          status=0; blkid --probe /dev/mapper/holdfast-data || status=$?
          if [ "$status" = 2 ]; then mkfs.ext4 -q -L holdfast-data /dev/mapper/holdfast-data; fi

          mkdir -p -m 700 ${mount}
          mountpoint --quiet ${mount} || mount /dev/mapper/holdfast-data ${mount}
          ${lib.concatMapStrings (name: ''
            if ! mountpoint --quiet ${config.services.${name}.dataDir}; then
              mkdir -p ${mount}/${name}
              chown --reference=${config.services.${name}.dataDir} ${mount}/${name}
              chmod --reference=${config.services.${name}.dataDir} ${mount}/${name}
              mount --bind ${mount}/${name} ${config.services.${name}.dataDir}
            fi
          '') bulk}
        '';
      };
    };
}
