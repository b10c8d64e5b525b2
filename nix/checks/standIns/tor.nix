# services.tor.*: what nix-bitcoin and ours use of it.
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
  maybe =
    type:
    mkOption {
      type = types.nullOr type;
      default = null;
    };
  isolation = [
    "IsolateClientAddr"
    "IsolateClientProtocol"
    "IsolateDestAddr"
    "IsolateDestPort"
    "IsolateSOCKSAuth"
    "KeepAliveIsolateSOCKSAuth"
  ];

  listener = types.submodule {
    options = {
      addr = maybe types.str;
      port = maybe (types.either types.port (types.enum [ "auto" ]));
      unix = maybe types.path;
      flags = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
    }
    // lib.genAttrs isolation (_: flag false);
  };
  target = types.submodule {
    options = {
      addr = mkOption {
        type = types.nullOr types.str;
        default = "127.0.0.1";
      };
      port = maybe (types.either types.port (types.enum [ "auto" ]));
      unix = maybe types.path;
    };
  };
  mapping =
    types.coercedTo types.port
      (port: {
        inherit port;
        target = { inherit port; };
      })
      (
        types.submodule {
          options = {
            port = mkOption { type = types.port; };
            target = mkOption {
              type = types.nullOr target;
              default = null;
            };
          };
        }
      );
  onion = { name, ... }: {
    options = {
      path = mkOption {
        type = types.path;
        default = "/var/lib/tor/onion/${name}";
      };
      secretKey = maybe types.path;
      authorizeClient = maybe (types.attrsOf types.anything);
      authorizedClients = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
      version = mkOption {
        type = types.nullOr (
          types.enum [
            2
            3
          ]
        );
        default = null;
      };
      map = mkOption {
        type = types.listOf mapping;
        default = [ ];
      };
      settings = mkOption {
        type = types.attrsOf types.anything;
        default = { };
      };
    };
  };
  cfg = config.services.tor;
in
{
  options.services.tor = {
    enable = flag false;
    package = mkOption {
      type = types.package;
      default = pkgs.tor;
    };
    openFirewall = flag false;
    enableGeoIP = flag true;
    controlSocket.enable = flag false;
    torsocks.enable = flag false;
    client = {
      enable = flag false;
      dns.enable = flag false;
      transparentProxy.enable = flag false;
      socksListenAddress = mkOption {
        type = types.either types.port listener;
        default = {
          addr = "127.0.0.1";
          port = 9050;
          IsolateDestAddr = true;
        };
      };
      onionServices = mkOption {
        default = { };
        type = types.attrsOf (
          types.submodule {
            options.clientAuthorizations = mkOption {
              type = types.listOf types.path;
              default = [ ];
            };
          }
        );
      };
    };
    relay = {
      enable = flag false;
      role = mkOption {
        type = types.enum [
          "exit"
          "relay"
          "bridge"
          "private-bridge"
        ];
      };
      onionServices = mkOption {
        type = types.attrsOf (types.submodule onion);
        default = { };
      };
    };
    settings = mkOption {
      type = types.attrsOf types.anything;
      default = { };
    };
  };
  options.services.i2pd = {
    enable = flag false;
    proto.sam = {
      enable = flag false;
      address = mkOption {
        type = types.str;
        default = "127.0.0.1";
      };
      port = mkOption {
        type = types.port;
        default = 7656;
      };
    };
    address = maybe types.str;
    bandwidth = maybe types.int;
  };

  config = {
    users.users.tor = lib.mkIf cfg.enable {
      isSystemUser = true;
      group = "tor";
      home = "/var/lib/tor";
    };
    users.groups.tor = lib.mkIf cfg.enable { };
    systemd.services.tor = lib.mkIf cfg.enable {
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      serviceConfig = {
        Type = "simple";
        User = "tor";
        Group = "tor";
        ExecStart = "${cfg.package}/bin/tor -f torrc";
        StateDirectory = [
          "tor"
          "tor/onion"
        ];
      };
    };
    systemd.services.i2pd = lib.mkIf config.services.i2pd.enable {
      wantedBy = [ "multi-user.target" ];
      serviceConfig.ExecStart = "${pkgs.coreutils}/bin/true";
    };
  };
}
