# Core Lightning makes an hsm_secret where it finds none, and with it another node. Here it starts with the one that the gate has placed, or not at all.
{ config, lib, ... }:
let
  cfg = config.holdfast.cln-identity;
  inherit (config.services) clightning;
  inherit (config.holdfast) agent;
  layout = import ../agent/layout.nix;

  inherit (agent.settings.place) network;
  # Where the gate places it: agent/gate/identityFiles.ts.
  networkDir = "${layout.clightning}/${if network == "mainnet" then "bitcoin" else network}";
  secret = "${networkDir}/hsm_secret";

  databases =
    if clightning.wallet == null then
      [ ]
    else
      lib.splitString ":" (lib.removePrefix "sqlite3://" clightning.wallet);
  isReplicated = clightning.replication.enable && lib.length databases == 2;
in
{
  options.holdfast.cln-identity.enable = lib.mkEnableOption "the gate before Core Lightning: it makes no hsm_secret, and does not start without the node's own";

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = clightning.enable && agent.enable;
        message = ''
          holdfast.cln-identity guards Core Lightning, and ${
            if clightning.enable then "holdfast.agent" else "services.clightning"
          } is off.
          Turn it on, or turn holdfast.cln-identity off.
        '';
      }
      {
        assertion = clightning.networkDir == networkDir;
        message = ''
          The gate places Core Lightning's hsm_secret in ${networkDir}, and Core Lightning would look for it in ${clightning.networkDir}.
          Leave services.clightning.dataDir alone, and let the chain be chosen by the stack's network (holdfast.network).
        '';
      }
      {
        assertion = lib.any ({ kind, ... }: kind == "cln-hsm-secret") (agent.settings.identities or [ ]);
        message = ''
          Core Lightning is on this node, and its stack names no identity of the kind cln-hsm-secret: Core Lightning would never start.
          Make one (holdfast wallet create <node> --kind cln-hsm-secret) and name its file under the node's `identities`, or take clightning from its `services`.
        '';
      }
    ];

    holdfast.agent.identityUnits = [
      "clightning"
    ]
    ++ lib.optional config.services.clightning-rest.enable "clightning-rest"
    ++ lib.optional (config.services.rtl.enable && config.services.rtl.nodes.clightning.enable) "rtl";

    systemd.services = {
      clightning = {
        # Wants, not Requires: a restarted bitcoind must not restart what only the gate may start.
        requires = lib.mkForce [ layout.secretsTarget ];
        wants = [ "bitcoind.service" ];
        preStart = lib.mkBefore ''
          [[ -e ${secret} ]] || {
            echo "There is no hsm_secret at ${secret}, and Core Lightning does not make one: the gate places it. 'holdfast-agent gate-report' tells where it stands." >&2
            exit 1
          }
          ${lib.optionalString isReplicated ''
            # Core Lightning would begin an empty database, and write it over the replica.
            if [[ -e '${lib.last databases}' && ! -e '${lib.head databases}' ]]; then
              echo "There is a replica at ${lib.last databases} and no database at ${lib.head databases}. Starting would overwrite the replica: copy it to ${lib.head databases} first, when it is proven to be the latest, with replication off." >&2
              exit 1
            fi
          ''}
        '';
      };

      # nix-bitcoin writes it into [Service], where systemd does not know it.
      clightning-replication-mounts = lib.mkIf isReplicated {
        unitConfig.StopPropagatedFrom = [ "clightning.service" ];
        serviceConfig.StopPropagatedFrom = lib.mkForce [ ];
      };

      # Its shop runs without Lightning until the gate has opened it.
      btcpayserver =
        lib.mkIf
          (
            config.services.btcpayserver.enable && config.services.btcpayserver.lightningBackend == "clightning"
          )
          {
            wants = lib.mkForce [ "nbxplorer.service" ];
          };
    };
  };
}
