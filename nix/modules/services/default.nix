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
  inherit (config.services) btcpayserver lnd nbxplorer;

  # `tcp://127.0.0.1:28332`
  ending = url: lib.optional (url != null) (lib.toInt (lib.last (lib.splitString ":" url)));
  ports =
    with config.services;
    lib.filterAttrs (service: _: has service) {
      bitcoind = [
        bitcoind.port
        bitcoind.rpc.port
      ]
      ++ lib.optional (bitcoind.onionPort != null) bitcoind.onionPort
      ++ lib.optional bitcoind.listenWhitelisted bitcoind.whitelistedPort
      ++ ending bitcoind.zmqpubrawblock
      ++ ending bitcoind.zmqpubrawtx;
      lnd = [ lnd.rpcPort ];
      lightning-loop = [
        lightning-loop.restPort
        lightning-loop.rpcPort
      ];
      electrs = [
        electrs.monitoringPort
        electrs.port
      ];
      fulcrum = [ fulcrum.port ];
      btcpayserver = [
        btcpayserver.port
        nbxplorer.port
      ];
      rtl = [
        rtl.port
      ]
      ++ lib.optional clightning.plugins.clnrest.enable clightning.plugins.clnrest.port;
      mempool = [
        mempool.port
        mempool.frontend.port
      ];
      joinmarket = [
        25183
        26183
        joinmarket.settings.DAEMON.daemon_port
        joinmarket.payjoinPort
        joinmarket.messagingPort
      ];
      joinmarket-ob-watcher = [ joinmarket-ob-watcher.port ];
      liquidd = [
        liquidd.port
        liquidd.rpc.port
      ]
      ++ lib.optional (liquidd.onionPort != null) liquidd.onionPort;
    };
  given = [
    {
      port = cfg.lightningPort;
      service = "lnd";
    }
    {
      port = cfg.restPort;
      service = "LND's REST";
    }
  ]
  ++ lib.optional (has "clightning") {
    port = cfg.clightningPort;
    service = "clightning";
  };
  taken =
    given
    ++ [
      {
        port = 22;
        service = "SSH";
      }
      {
        port = 9050;
        service = "Tor";
      }
    ]
    ++ lib.concatLists (
      lib.mapAttrsToList (
        service:
        map (port: {
          inherit port service;
        })
      ) ports
    );
  clashes = lib.filterAttrs (_: owners: lib.length owners > 1) (
    lib.mapAttrs (_: map ({ service, ... }: service)) (lib.groupBy ({ port, ... }: toString port) taken)
  );

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
  imports = [
    ./joinmarket.nix
    ./onion.nix
  ];

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
    ports = mkOption {
      type = types.attrsOf (types.listOf types.port);
      readOnly = true;
      internal = true;
      description = "TCP ports of this host that each service takes, besides the three below.";
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
      holdfast.services = { inherit ports; };
      services =
        genAttrs
          [
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
          ]
          (service: {
            enable = mkIf (has service) true;
          });
      nix-bitcoin.nodeinfo.enable = mkIf (has "nodeinfo") true;

      assertions =
        lib.mapAttrsToList (service: bases: {
          assertion = has service -> builtins.any has bases;
          message = ''
            holdfast.services.enabled has ${service}, and nothing that it stands on.
            Add ${lib.concatStringsSep " or " bases}, or leave ${service} out.
          '';
        }) (lib.importJSON ./needs.json)
        ++ [
          {
            assertion = has "lnd";
            message = ''
              holdfast.services.enabled has no lnd, and the gate opens a node by LND's wallet: nothing that holds an identity would ever start.
              Add lnd.
            '';
          }
          {
            assertion = clashes == { };
            message = ''
              holdfast.services: ${
                lib.concatStringsSep "; " (
                  lib.mapAttrsToList (
                    port: owners: "${lib.concatStringsSep " and " owners} want port ${port}"
                  ) clashes
                )
              }.
              Give what the stack file gives a port (lightning.p2pPort, clightningPort, restPort) another one.
            '';
          }
          {
            assertion = !(has "electrs" && has "fulcrum");
            message = ''
              holdfast.services.enabled has electrs and fulcrum, and both serve Electrum on port 50001.
              Keep one of them.
            '';
          }
          {
            assertion = builtins.all has cfg.published;
            message = ''
              holdfast.services.published names ${
                lib.concatStringsSep ", " (builtins.filter (page: !has page) cfg.published)
              }, which is not in holdfast.services.enabled.
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

    # Exchange rates come from the clear net, and BTCPay takes its proxy for onion addresses alone. .NET takes one for everything else from here.
    (mkIf (has "btcpayserver" && btcpayserver.tor.enforce) {
      systemd.services.btcpayserver.environment = {
        ALL_PROXY = "socks5://${config.nix-bitcoin.torClientAddressWithPort}";
        NO_PROXY = lib.concatStringsSep "," (
          lib.unique (
            [
              "127.0.0.1"
              "::1"
              "localhost"
              nbxplorer.address
              lnd.restAddress
            ]
            ++ lib.optional wireguard.enable wireguard.address
          )
        );
      };
    })

    # mempool speaks to its database through a socket, and MariaDB would listen on every address.
    (mkIf (has "mempool") { services.mysql.settings.mysqld.skip-networking = true; })

    (published "btcpayserver" "btcpayserver" { btcpayserver.address = wireguard.address; })
    (published "rtl" "rtl" { rtl.address = wireguard.address; })
    (published "mempool" "nginx" { mempool.frontend.address = wireguard.address; })
  ];
}
