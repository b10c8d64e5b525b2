# The remote signer of Nostr keys, whose keys unlock at its start. Confined as nix/modules/bunker confines it, less what a machine in a namespace cannot have, and without Tor.
{
  settings,
  text,
  programs,
  layout,
  ...
}:
let
  configuration = text.write "nsecbunker.json" (
    builtins.toJSON {
      nostr.relays = settings.bunker.relays;
      admin = {
        npubs = settings.bunker.admins;
        adminRelays = [ ];
      };
      keys = { };
    }
  );
in
{
  "bunker.service" = {
    Unit = {
      Description = "Remote signer of Nostr keys (NIP-46)";
      After = [
        "network.target"
        layout.secretsTarget
      ]
      ++ (if settings ? tunnel then [ "wireguard-wg-node.service" ] else [ ]);
      Requires = [ layout.secretsTarget ];
      PartOf = [ layout.identityTarget ];
      X-OnlyManualStart = true;
    };
    Service = text.hardening // {
      Type = "notify";
      # It speaks through systemd-notify, a process of its own.
      NotifyAccess = "all";
      # Fed by what comes back through its relays.
      WatchdogSec = 120;
      Restart = "on-failure";
      RestartSec = 5;
      TimeoutStopSec = 30;
      User = "bunker";
      LoadCredential = [
        "passphrase:${layout.secrets}/bunker-passphrase"
        "admin-key:${layout.secrets}/bunker-admin-key"
      ];
      Environment = [
        "NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE=%d/passphrase"
        "NSECBUNKER_ADMIN_KEY_FILE=%d/admin-key"
      ];
      ExecStart = "${programs.bunker}/bin/holdfast-bunker start --config ${configuration}";
      StateDirectory = "bunker";
      StateDirectoryMode = "0700";
      RuntimeDirectory = "bunker";
      RuntimeDirectoryMode = "0700";
      UMask = "0077";
      LimitCORE = 0;
      CapabilityBoundingSet = "";
      ProcSubset = "pid";
      RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6";
      SystemCallFilter = [
        "@system-service"
        "~add_key kcmp keyctl mbind move_pages name_to_handle_at personality process_vm_readv process_vm_writev request_key setns unshare userfaultfd"
        "@pkey"
      ];
    };
    wantedBy = [ layout.identityTarget ];
  };
}
