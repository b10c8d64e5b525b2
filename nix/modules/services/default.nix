# What runs on the node, as nix-bitcoin names it, set so that the parts find each other.
{ config, lib, ... }:
let
  inherit (lib)
    elem
    genAttrs
    mkDefault
    mkIf
    mkMerge
    mkOption
    types
    ;
  cfg = config.holdfast.services;
  has = service: elem service cfg.enabled;
  publishes = page: elem page cfg.published && has page;
  inherit (config.holdfast) wireguard;

  # A page answers at the tunnel's address, and nowhere else. It needs the address to be there.
  published =
    page: unit: options:
    mkIf (publishes page) {
      services = options;
      systemd.services.${unit} = {
        after = [ "wireguard-wg-node.service" ];
        serviceConfig.IPAddressAllow = [ wireguard.network ];
      };
    };
in
{
  options.holdfast.services = {
    enabled = mkOption {
      type = types.listOf (
        types.enum [
          "bitcoind"
          "lnd"
          "lightning-loop"
          "clightning"
          "electrs"
          "fulcrum"
          "btcpayserver"
          "rtl"
          "mempool"
          "joinmarket"
          "joinmarket-ob-watcher"
          "liquidd"
          "nodeinfo"
        ]
      );
      default = [
        "bitcoind"
        "lnd"
      ];
      description = "What runs, as nix-bitcoin names it.";
    };
    published = mkOption {
      type = types.listOf (
        types.enum [
          "btcpayserver"
          "rtl"
          "mempool"
        ]
      );
      default = [ ];
      description = "Services whose page answers at the node's address inside its tunnels. The others answer on loopback alone.";
    };
    alias = mkOption {
      type = types.str;
      description = "What other Lightning nodes see.";
    };
    lightningPort = mkOption {
      type = types.port;
      default = 9735;
      description = "Where LND listens for other nodes.";
    };
    restPort = mkOption {
      type = types.port;
      default = 8080;
      description = "LND's REST.";
    };
    clightningPort = mkOption {
      type = types.port;
      default = 9736;
      description = "Where Core Lightning listens for other nodes.";
    };
  };

  config = mkMerge [
    {
      services =
        genAttrs [ "bitcoind" "lnd" "lightning-loop" "clightning" "electrs" "fulcrum" "btcpayserver" "rtl" "mempool" "joinmarket" "joinmarket-ob-watcher" "liquidd" ]
          (service: {
            enable = mkIf (has service) true;
          });
      nix-bitcoin.nodeinfo.enable = mkIf (has "nodeinfo") true;

      assertions = [
        {
          assertion = !(has "electrs" && has "fulcrum");
          message = ''
            holdfast.services.enabled has electrs and fulcrum, and both serve Electrum on port 50001.
            Keep one of them.
          '';
        }
        {
          assertion = has "mempool" -> has "electrs" || has "fulcrum";
          message = ''
            holdfast.services.enabled has mempool, which asks an Electrum server, and neither electrs nor fulcrum.
            Add one of them.
          '';
        }
        {
          assertion = has "rtl" -> has "lnd" || has "clightning";
          message = ''
            holdfast.services.enabled has rtl, and neither lnd nor clightning for it to show.
            Add one of them.
          '';
        }
        {
          assertion = builtins.all has cfg.published;
          message = ''
            holdfast.services.published names ${lib.concatStringsSep ", " (builtins.filter (page: !has page) cfg.published)}, which is not in holdfast.services.enabled.
            Add it there, or take it out here.
          '';
        }
        {
          assertion = cfg.published != [ ] -> wireguard.enable;
          message = ''
            holdfast.services.published is not empty, and holdfast.wireguard is off: there is no tunnel that would carry the pages.
            Turn the tunnels on, or publish nothing.
          '';
        }
      ];
    }

    (mkIf (has "lnd") {
      services.lnd = {
        port = cfg.lightningPort;
        inherit (cfg) restPort;
        # LND asks watchtowers to look after its channels as soon as it is given one: `lncli wtclient add`.
        extraConfig = ''
          alias=${cfg.alias}
          wtclient.active=true
        '';
      };
    })

    (mkIf (has "clightning") {
      services.clightning = {
        port = cfg.clightningPort;
        extraConfig = "alias=${cfg.alias}";
      };
    })

    {
      services = {
        btcpayserver.lightningBackend = mkIf (has "btcpayserver") (
          mkDefault (
            if has "lnd" then
              "lnd"
            else if has "clightning" then
              "clightning"
            else
              null
          )
        );
        rtl.nodes = mkIf (has "rtl") {
          lnd.enable = has "lnd";
          clightning.enable = has "clightning";
        };
        mempool.electrumServer = mkIf (has "mempool") (if has "fulcrum" then "fulcrum" else "electrs");
        # nix-bitcoin's own message about equal ports does not evaluate; ours does, when they differ.
        electrs.port = mkIf (has "electrs" && has "fulcrum") 50002;
        # JoinMarket cannot work with a newer one.
        bitcoind.package = mkIf (has "joinmarket") (mkDefault config.nix-bitcoin.pkgs.bitcoind_29);
      };

      # Pages are for the tunnel: nix-bitcoin would give RTL an onion address.
      nix-bitcoin.onionServices = genAttrs [ "btcpayserver" "rtl" "mempool-frontend" ] (_: {
        enable = false;
      });
    }

    (published "btcpayserver" "btcpayserver" { btcpayserver.address = wireguard.address; })
    (published "rtl" "rtl" { rtl.address = wireguard.address; })
    (published "mempool" "nginx" { mempool.frontend.address = wireguard.address; })
  ];
}
