# networking.wireguard.*, and the units that NixOS makes of it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  flag =
    default:
    mkOption {
      type = types.bool;
      inherit default;
    };
  strings = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };
  lines = mkOption {
    type = types.lines;
    default = "";
  };
  maybe =
    type:
    mkOption {
      type = types.nullOr type;
      default = null;
    };

  # systemd.unit(5): `/`, `+` and `=` of base64 in the name of a unit.
  unitPart = builtins.replaceStrings [ "/" "-" " " "+" "=" ] [ "-" "\\x2d" "\\x20" "\\x2b" "\\x3d" ];

  peer = { config, ... }: {
    options = {
      name = mkOption {
        type = types.str;
        default = unitPart config.publicKey;
      };
      publicKey = mkOption { type = types.singleLineStr; };
      presharedKey = maybe types.str;
      presharedKeyFile = maybe types.str;
      allowedIPs = mkOption { type = types.listOf types.str; };
      endpoint = maybe types.str;
      persistentKeepalive = maybe types.int;
      dynamicEndpointRefreshSeconds = mkOption {
        type = types.int;
        default = 0;
      };
    };
  };
  interface = {
    options = {
      type = mkOption {
        type = types.enum [
          "wireguard"
          "amneziawg"
        ];
        default = "wireguard";
      };
      ips = strings;
      listenPort = maybe types.int;
      privateKey = maybe types.str;
      privateKeyFile = maybe types.str;
      generatePrivateKeyFile = flag false;
      allowedIPsAsRoutes = flag true;
      peers = mkOption {
        type = types.listOf (types.submodule peer);
        default = [ ];
      };
      preSetup = lines;
      postSetup = lines;
      preShutdown = lines;
      postShutdown = lines;
      table = mkOption {
        type = types.str;
        default = "main";
      };
      mtu = maybe types.int;
      metric = maybe types.int;
      socketNamespace = maybe types.str;
      interfaceNamespace = maybe types.str;
      dynamicEndpointRefreshSeconds = mkOption {
        type = types.int;
        default = 0;
      };
      fwMark = maybe types.str;
    };
  };

  cfg = config.networking.wireguard;
  wg = "${pkgs.wireguard-tools}/bin/wg";
  ip = "${pkgs.iproute2}/bin/ip";

  setup =
    name: settings:
    lib.nameValuePair "wireguard-${name}" {
      description = "WireGuard Tunnel - ${name}";
      after = [ "network-pre.target" ];
      wants = [ "network.target" ];
      before = [ "network.target" ];
      wantedBy = [ "multi-user.target" ];
      path = [
        pkgs.kmod
        pkgs.iproute2
        pkgs.wireguard-tools
      ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
      };
      script = ''
        ${settings.preSetup}
        ${ip} link add dev "${name}" type wireguard
        ${lib.concatMapStrings (address: "${ip} address add \"${address}\" dev \"${name}\"\n") settings.ips}
        ${wg} set "${name}" private-key "${toString settings.privateKeyFile}" ${
          lib.optionalString (settings.listenPort != null) "listen-port ${toString settings.listenPort}"
        }
        ${ip} link set up dev "${name}"
        ${settings.postSetup}
      '';
      postStop = ''
        ${settings.preShutdown}
        ${ip} link del dev "${name}"
        ${settings.postShutdown}
      '';
    };
  peerUnit =
    name: settings:
    {
      publicKey,
      presharedKeyFile,
      allowedIPs,
      ...
    }@peer:
    lib.nameValuePair "wireguard-${name}-peer-${peer.name}" {
      requires = [ "wireguard-${name}.service" ];
      after = [ "wireguard-${name}.service" ];
      wantedBy = [
        "multi-user.target"
        "wireguard-${name}.service"
      ];
      path = [
        pkgs.iproute2
        pkgs.wireguard-tools
      ];
      serviceConfig = {
        Type = "oneshot";
        RemainAfterExit = true;
      };
      script = ''
        ${wg} set ${name} peer "${publicKey}" ${
          lib.optionalString (presharedKeyFile != null) "preshared-key \"${presharedKeyFile}\""
        } allowed-ips "${lib.concatStringsSep "," allowedIPs}"
        ${lib.optionalString settings.allowedIPsAsRoutes (
          lib.concatMapStrings (
            range: "${ip} route replace \"${range}\" dev \"${name}\" table \"${settings.table}\"\n"
          ) allowedIPs
        )}
      '';
      postStop = "${wg} set \"${name}\" peer \"${publicKey}\" remove";
    };
in
{
  options.networking.wireguard = {
    enable = flag (cfg.interfaces != { });
    useNetworkd = flag config.networking.useNetworkd;
    interfaces = mkOption {
      type = types.attrsOf (types.submodule interface);
      default = { };
    };
  };

  config = {
    systemd.services =
      lib.mapAttrs' setup cfg.interfaces
      // builtins.listToAttrs (
        lib.concatLists (
          lib.mapAttrsToList (name: settings: map (peerUnit name settings) settings.peers) cfg.interfaces
        )
      );
    systemd.targets = lib.mapAttrs' (
      name: settings:
      lib.nameValuePair "wireguard-${name}" {
        description = "WireGuard Tunnel - ${name}";
        wantedBy = [ "multi-user.target" ];
        wants = [
          "wireguard-${name}.service"
        ]
        ++ map (peer: "wireguard-${name}-peer-${peer.name}.service") settings.peers;
        after = [
          "wireguard-${name}.service"
        ]
        ++ map (peer: "wireguard-${name}-peer-${peer.name}.service") settings.peers;
      }
    ) cfg.interfaces;
    assertions = lib.concatLists (
      lib.mapAttrsToList (
        name: settings:
        [
          {
            assertion = (settings.privateKey == null) != (settings.privateKeyFile == null);
            message = "networking.wireguard.interfaces.${name}: exactly one of privateKey and privateKeyFile must be set.";
          }
        ]
        ++ map (peer: {
          assertion = peer.presharedKey == null || peer.presharedKeyFile == null;
          message = "networking.wireguard.interfaces.${name} peer «${peer.publicKey}» has both presharedKey and presharedKeyFile set, but only one can be used.";
        }) settings.peers
      ) cfg.interfaces
    );
  };
}
