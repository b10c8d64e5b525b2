# The remote signer of Nostr keys (NIP-46). Its keys are the node's identity, so that the gate alone starts it; they unlock at its start under a passphrase that systemd hands over.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.holdfast.bunker;
  inherit (config.holdfast) agent wireguard;
  nbLib = config.nix-bitcoin.lib;
  layout = import ../agent/layout.nix;

  # Its store path depends on the program alone.
  bundle = builtins.path {
    name = "bunker.mjs";
    path = cfg.bundle;
  };
  configuration = pkgs.writeText "nsecbunker.json" (
    builtins.toJSON {
      nostr = { inherit (cfg) relays; };
      admin = {
        npubs = cfg.admins;
        adminRelays = [ ];
      };
      keys = { };
    }
  );

  # What Tor refuses to carry.
  isNear =
    relay:
    builtins.match "wss?://(localhost|127\\.[^/]*|10\\.[0-9.]+|192\\.168\\.[0-9.]+|169\\.254\\.[0-9.]+|172\\.(1[6-9]|2[0-9]|3[01])\\.[0-9.]+|\\[[^]]*])(:[0-9]+)?(/.*)?" relay
    != null;
  near = lib.filter isNear cfg.relays;
  # Beyond this host, and in clear.
  bare = lib.filter (
    relay:
    lib.hasPrefix "ws://" relay
    && !isNear relay
    && builtins.match "ws://[a-z2-7]+\\.onion(:[0-9]+)?(/.*)?" relay == null
  ) cfg.relays;

  onion = lib.filter (
    relay: builtins.match "wss?://[^/]*\\.onion(:[0-9]+)?(/.*)?" relay != null
  ) cfg.relays;

  inClear = [
    "NSECBUNKER_AUTOUNLOCK_PASSPHRASE"
    "NSEC_BUNKER_AUTOUNLOCK_PASSPHRASE"
  ];
  unit = config.systemd.services.bunker;
  written = lib.toList (unit.serviceConfig.Environment or [ ]);
  shown = lib.filter (
    name: unit.environment ? ${name} || lib.any (lib.hasInfix "${name}=") written
  ) inClear;

  signers = lib.filter ({ kind, ... }: kind == "nsec") (agent.settings.identities or [ ]);
in
{
  options.holdfast.bunker = {
    enable = lib.mkEnableOption "the remote signer of Nostr keys (NIP-46)";
    package = mkOption {
      type = types.package;
      default = pkgs.writers.writeBashBin "holdfast-bunker" ''
        exec ${cfg.node}/bin/node ${bundle} "$@"
      '';
      defaultText = lib.literalMD "a wrapper called holdfast-bunker";
      description = "The signer as a program. Another nsecbunkerd may stand here: README, \"Another signer\".";
    };
    executable = mkOption {
      type = types.str;
      default = "holdfast-bunker";
      description = "What the package's program is called.";
    };
    bundle = mkOption {
      type = types.path;
      description = "The bunker in one file (bunker.mjs), as the deploy machine hands it over.";
    };
    node = mkOption {
      type = types.package;
      default = pkgs.nodejs_22;
      defaultText = lib.literalExpression "pkgs.nodejs_22";
      description = "Node.js, 22.13 or later.";
    };
    relays = mkOption {
      type = types.listOf (types.strMatching "wss?://[^[:space:]@]+");
      default = [ ];
      description = "Where clients and admins find it.";
    };
    admins = mkOption {
      type = types.listOf (types.strMatching "npub1[02-9ac-hj-np-z]{58}");
      default = [ ];
      description = "Public keys that may use its admin RPC. Without any, root alone has a say, at the control socket.";
    };
    tor.enforce = mkOption {
      type = types.bool;
      default = true;
      description = "Reach relays through Tor alone: by its SOCKS port, and by no address beyond this host.";
    };
    metrics = mkOption {
      type = types.nullOr (types.strMatching "(127\\.0\\.0\\.1|\\[::1]):[0-9]{1,5}");
      default = null;
      description = "Where it serves its metrics (Prometheus): an address and port of loopback.";
    };
  };

  config = lib.mkMerge [
    (lib.mkIf agent.enable {
      assertions = [
        {
          assertion = signers != [ ] -> cfg.enable;
          message = ''
            The stack names identities of the kind nsec (${
              lib.concatMapStringsSep ", " ({ name, ... }: name) signers
            }), and the node has no bunker that would take them: the gate would never open.
            Put bunker among the node's services, or take them from its identities.
          '';
        }
      ];
    })

    (lib.mkIf cfg.enable {
      assertions = [
        {
          assertion = agent.enable;
          message = ''
            holdfast.bunker holds keys of the node, which the gate alone may open, and holdfast.agent is off.
            Turn it on, or turn holdfast.bunker off.
          '';
        }
        {
          assertion = cfg.relays != [ ];
          message = ''
            holdfast.bunker.relays is empty: nobody would find the bunker.
            Name at least one relay (bunker: { relays: [wss://…] } in the stack file), or turn holdfast.bunker off.
          '';
        }
        {
          assertion = bare == [ ];
          message = ''
            holdfast.bunker.relays has ${lib.concatStringsSep ", " bare}: not encrypted on its way, so that whoever listens sees which keys are used, and when.
            Use wss://, an onion address, or a relay inside the tunnel.
          '';
        }
        {
          assertion = cfg.tor.enforce -> near == [ ];
          message = ''
            Tor is enforced (nixos.tor), and holdfast.bunker.relays has ${lib.concatStringsSep ", " near}, which Tor does not carry: the bunker would never reach it.
            Name relays of the internet or onion addresses, or write `tor: optional` in the stack file.
          '';
        }
        {
          assertion = !cfg.tor.enforce -> onion == [ ];
          message = ''
            holdfast.bunker.relays has ${lib.concatStringsSep ", " onion}, and holdfast.bunker.tor.enforce is off: without Tor the bunker would never reach it.
            Turn holdfast.bunker.tor.enforce on, which reaches relays of the internet as well, or name others.
          '';
        }
        {
          assertion = shown == [ ];
          message = ''
            The environment of bunker.service has ${lib.concatStringsSep ", " shown}: a passphrase there is in the Nix store and in `systemctl show`, for everybody.
            Take it out: the bundle brings the passphrase, and systemd hands it over as a credential.
          '';
        }
      ];

      holdfast.agent.identityUnits = [ "bunker" ];
      environment.systemPackages = [ cfg.package ];

      users.users.bunker = {
        isSystemUser = true;
        group = "bunker";
        home = layout.bunker;
      };
      users.groups.bunker = { };
      # The gate places identities there before the bunker starts for the first time.
      systemd.tmpfiles.rules = [ "d '${layout.bunker}' 0700 bunker bunker - -" ];

      nix-bitcoin.secrets = {
        bunker-passphrase.permissions = "400";
        bunker-admin-key.permissions = "400";
      };

      systemd.services.bunker = {
        description = "Remote signer of Nostr keys (NIP-46)";
        after = [
          "network.target"
          layout.secretsTarget
        ]
        ++ lib.optional wireguard.enable "wireguard-wg-node.service"
        ++ lib.optional cfg.tor.enforce "tor.service";
        requires = [ layout.secretsTarget ];
        unitConfig.RequiresMountsFor = [ layout.bunker ];
        environment = {
          NSECBUNKER_AUTOUNLOCK_PASSPHRASE_FILE = "%d/passphrase";
          NSECBUNKER_ADMIN_KEY_FILE = "%d/admin-key";
          NSECBUNKER_SYSTEMD_NOTIFY = "${config.systemd.package}/bin/systemd-notify";
        }
        // lib.optionalAttrs cfg.tor.enforce {
          NSECBUNKER_PROXY = "socks5h://${config.nix-bitcoin.torClientAddressWithPort}";
        }
        // lib.optionalAttrs (cfg.metrics != null) { NSECBUNKER_METRICS = cfg.metrics; };
        serviceConfig =
          nbLib.defaultHardening
          // {
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
            ExecStart = "${cfg.package}/bin/${cfg.executable} start --config ${configuration}";
            StateDirectory = "bunker";
            StateDirectoryMode = "0700";
            RuntimeDirectory = "bunker";
            RuntimeDirectoryMode = "0700";
            UMask = "0077";
            LimitCORE = 0;
          }
          // nbLib.allowedIPAddresses cfg.tor.enforce
          // nbLib.nodejs;
      };
      services.tor = lib.mkIf cfg.tor.enforce {
        enable = true;
        client.enable = true;
      };
    })
  ];
}
