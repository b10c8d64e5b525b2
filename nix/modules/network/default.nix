# The chain that a node lives on: every name, path and port that nix-bitcoin ties to mainnet or regtest.
{ config, lib, ... }:
let
  inherit (lib)
    concatMapStrings
    mapAttrsToList
    mkDefault
    mkForce
    mkIf
    mkMerge
    mkOption
    mkOrder
    optionalString
    types
    ;
  cfg = config.holdfast.network;
  inherit (config.services) bitcoind;

  # Bitcoin Core's own ports, as `bitcoind -help` lists them.
  ports = {
    mainnet = {
      p2p = 8333;
      rpc = 8332;
    };
    testnet4 = {
      p2p = 48333;
      rpc = 48332;
    };
    signet = {
      p2p = 38333;
      rpc = 38332;
    };
    regtest = {
      p2p = 18444;
      rpc = 18443;
    };
  };

  # nix-bitcoin asks for a daemon's name of a network with the name that the daemon gives mainnet. NBXplorer alone writes its folder in its own way.
  foreignName = mainnetName: if mainnetName == "Main" then "Signet" else cfg.name;
  isTestNetwork = cfg.name == "testnet4" || cfg.name == "signet";

  worksOn = lib.importJSON ./works-on.json;
in
{
  options = {
    holdfast.network = {
      name = mkOption {
        type = types.enum (builtins.attrNames ports);
        description = "The chain that bitcoind follows, and everything that stands on it.";
      };
      peers = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "192.0.2.1:48333" ];
        description = "The only nodes that bitcoind connects to, `address:port`. None means the network's own discovery.";
      };
    };

    # Both are read-only: what is set cannot be replaced, and what is read can.
    services.bitcoind.network = mkOption { apply = _: cfg.name; };
    services.bitcoind.makeNetworkName = mkOption {
      apply =
        _: mainnetName: regtestName:
        if cfg.name == "mainnet" then
          mainnetName
        else if cfg.name == "regtest" then
          regtestName
        else
          foreignName mainnetName;
    };
  };

  config = mkMerge [
    {
      services.bitcoind = {
        regtest = cfg.name == "regtest";
        port = mkDefault ports.${cfg.name}.p2p;
        rpc.port = mkDefault ports.${cfg.name}.rpc;
        extraConfig = concatMapStrings (peer: "connect=${peer}\n") cfg.peers;
      };

      assertions = mapAttrsToList (service: support: {
        assertion = config.services.${service}.enable -> builtins.elem cfg.name support.networks;
        message = ''
          services.${service} is on, and holdfast.network.name is ${cfg.name}: ${support.because}.
          Leave ${service} out of the node's services, or put the node on ${lib.concatStringsSep " or " support.networks}.
        '';
      }) worksOn;
    }

    # Bitcoin Core takes addresses and ports of a test network from that network's section alone, and refuses to start when they stand outside and not inside.
    (mkIf isTestNetwork {
      services.bitcoind.extraConfig = mkOrder 100 ''
        chain=${cfg.name}
        # Where nix-bitcoin looks for it; the network's own folder would be the default.
        rpccookiefile=${bitcoind.dataDir}/.cookie
        [${cfg.name}]
        rpcbind=${bitcoind.rpc.address}
        rpcport=${toString bitcoind.rpc.port}
        ${optionalString bitcoind.listen "bind=${bitcoind.address}:${toString bitcoind.port}"}
        ${optionalString (
          bitcoind.listen && bitcoind.onionPort != null
        ) "bind=${bitcoind.address}:${toString bitcoind.onionPort}=onion"}
        ${optionalString bitcoind.listenWhitelisted "whitebind=${bitcoind.address}:${toString bitcoind.whitelistedPort}"}
        ${concatMapStrings (node: "addnode=${node}\n") bitcoind.addnodes}
      '';

      services.mempool = {
        settings.MEMPOOL.NETWORK = mkForce cfg.name;
        frontend.settings = {
          ROOT_NETWORK = cfg.name;
          "${lib.toUpper cfg.name}_ENABLED" = true;
        };
      };
    })

    # secure-node asks for it without mkDefault, and liquidd cannot on regtest.
    (mkIf (cfg.name == "regtest") { services.liquidd.validatepegin = mkForce false; })
  ];
}
