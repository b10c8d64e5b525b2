# LND's wallet is made and opened by the gate alone. nix-bitcoin's own unit would generate a seed where it finds no wallet: what it runs before LND is cut short here.
{
  config,
  lib,
  options,
  ...
}:
let
  cfg = config.holdfast.lnd-identity;
  inherit (config.services) lnd;
  inherit (config.holdfast) agent;
  layout = import ../agent/layout.nix;
  netns = config.nix-bitcoin.netns-isolation;

  inherit (agent.settings.place) network;
  # Where the gate looks: lndFiles in agent/gate/host.ts.
  networkDir = "${layout.lnd}/data/chain/bitcoin/${network}";
  wallet = "${networkDir}/wallet.db";

  # What nix-bitcoin's module says itself, before anybody overrides it.
  theirs =
    lib.concatMap
      (definition: lib.optional (definition.value ? lnd.preStart) definition.value.lnd.preStart)
      (
        lib.filter (
          definition: lib.hasSuffix "/modules/lnd.nix" (toString definition.file)
        ) options.systemd.services.definitionsWithLocations
      );
  parts = lib.splitString "if [[ ! -f ${lnd.networkDir}/wallet.db ]]; then" (
    lib.concatStrings theirs
  );
  isKnown =
    lib.length theirs == 1 && lib.length parts == 2 && !lib.hasInfix "lndinit" (lib.head parts);
  # It writes lnd.conf, the RPC password included.
  configure = if isKnown then lib.head parts else "exit 1\n";

  ofUnopened =
    lib.replaceStrings
      [ "'${lnd.dataDir}/lnd.conf'" ]
      [ ''"$RUNTIME_DIRECTORY/lnd.conf"'' ];
  unopenedAddress = if netns.enable then netns.netns.lnd.address else "127.0.0.1";

  # Wants, not Requires: a restarted bitcoind must not restart what only the gate may start.
  onChain = {
    requires = lib.mkForce [ layout.secretsTarget ];
    wants = [ "bitcoind.service" ];
    after = [
      "bitcoind.service"
      layout.secretsTarget
    ];
    unitConfig = {
      X-OnlyManualStart = true;
      RequiresMountsFor = [ layout.lnd ];
    };
  };
in
{
  options.holdfast.lnd-identity.enable = lib.mkEnableOption "the gate before LND: no wallet is made, and LND does not start, without it";

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = lnd.enable && agent.enable;
        message = ''
          holdfast.lnd-identity guards LND, and ${
            if lnd.enable then "holdfast.agent" else "services.lnd"
          } is off.
          Turn it on, or turn holdfast.lnd-identity off.
        '';
      }
      {
        assertion = isKnown;
        message = ''
          This nix-bitcoin's modules/lnd.nix prepares LND in another way than the one that holdfast.lnd-identity knows how to cut short before it generates a seed.
          Use nix-bitcoin v0.0.139, or read its preStart and adapt nix/modules/lnd-identity.
        '';
      }
      {
        assertion = lnd.networkDir == networkDir;
        message = ''
          The gate makes and looks for LND's wallet in ${networkDir}, and LND would keep it in ${lnd.networkDir}.
          Leave services.lnd.dataDir alone, and let the chain be chosen by the stack's network (holdfast.network).
        '';
      }
    ];

    services.lnd.dataDir = "${layout.lnd}/data";
    systemd.tmpfiles.rules = [ "d '${layout.lnd}' 0750 ${lnd.user} ${lnd.group} - -" ];

    holdfast.agent.identityUnits = [
      "lnd"
    ]
    ++ lib.optional config.services.lightning-loop.enable "lightning-loop"
    ++ lib.optional config.services.lightning-pool.enable "lightning-pool"
    ++ lib.optional (config.services.rtl.enable && config.services.rtl.nodes.lnd.enable) "rtl";
    holdfast.agent.gatesOwnUnits = [ "lnd-unopened" ];

    systemd.services = {
      lnd = lib.mkMerge [
        onChain
        {
          after = [ "lnd-unopened.service" ];
          conflicts = [ "lnd-unopened.service" ];
          preStart = lib.mkForce ''
            [[ -e ${wallet} ]] || {
              echo "There is no wallet at ${wallet}, and LND does not make one: the gate alone does. 'holdfast-agent gate-report' tells where it stands." >&2
              exit 1
            }
            ${configure}
          '';
          # A wallet that catches up with the chain takes as long as it takes.
          serviceConfig.TimeoutStartSec = "infinity";
        }
      ];

      lnd-unopened = lib.mkMerge [
        onChain
        {
          description = "LND for the gate: its wallet locked, on loopback, without peers";
          preStart = ''
            ${ofUnopened configure}
            sed -i -e '/^wallet-unlock-password-file=/d' -e '/^listen=/d' -e '/^externalip=/d' -e '/^restlisten=/d' "$RUNTIME_DIRECTORY/lnd.conf"
            printf '%s\n' 'nolisten=true' 'restlisten=${unopenedAddress}:${toString lnd.restPort}' >> "$RUNTIME_DIRECTORY/lnd.conf"
          '';
          serviceConfig =
            removeAttrs config.systemd.services.lnd.serviceConfig [
              "ExecStart"
              "ExecStartPre"
              "ExecStartPost"
              "Restart"
              "RestartSec"
            ]
            // {
              ExecStart = "${lnd.package}/bin/lnd --configfile=/run/lnd-unopened/lnd.conf";
              RuntimeDirectory = "lnd-unopened";
              RuntimeDirectoryMode = "0700";
            };
        }
        (lib.mkIf netns.enable {
          bindsTo = [ "netns-lnd.service" ];
          after = [ "netns-lnd.service" ];
        })
      ];

      # Its shop runs without Lightning until the gate has opened it.
      btcpayserver =
        lib.mkIf
          (config.services.btcpayserver.enable && config.services.btcpayserver.lightningBackend == "lnd")
          {
            wants = lib.mkForce [ "nbxplorer.service" ];
          };

      holdfast-lnd-door = lib.mkIf netns.enable {
        description = "Carry the agent's connections into LND's network namespace";
        requires = [ "holdfast-lnd-door.socket" ];
        after = [ "holdfast-lnd-door.socket" ];
        serviceConfig = {
          ExecStart = "${config.systemd.package}/lib/systemd/systemd-socket-proxyd ${netns.netns.lnd.address}:${toString lnd.restPort}";
          DynamicUser = true;
          NoNewPrivileges = true;
          ProtectSystem = "strict";
          PrivateTmp = true;
          PrivateDevices = true;
        };
      };
    };

    systemd.sockets = lib.mkIf netns.enable {
      holdfast-lnd-door = {
        description = "The agent's way to LND, which is in a network namespace of its own";
        listenStreams = [ "127.0.0.1:${toString lnd.restPort}" ];
        wantedBy = [ "sockets.target" ];
      };
    };
  };
}
