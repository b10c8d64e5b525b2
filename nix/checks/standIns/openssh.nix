# services.openssh.*
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  flag =
    default:
    mkOption {
      type = types.bool;
      inherit default;
    };
  scalar = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.str
      (types.listOf types.str)
    ]
  );
  hostKey = types.submodule {
    freeformType = types.attrsOf (
      types.oneOf [
        types.bool
        types.int
        types.str
      ]
    );
    options = {
      path = mkOption { type = types.str; };
      type = mkOption {
        type = types.str;
        default = "ed25519";
      };
    };
  };
  cfg = config.services.openssh;
in
{
  options.services.openssh = {
    enable = flag false;
    openFirewall = flag true;
    startWhenNeeded = flag false;
    allowSFTP = flag true;
    ports = mkOption {
      type = types.listOf types.port;
      default = [ 22 ];
    };
    listenAddresses = mkOption {
      default = [ ];
      type = types.listOf (
        types.submodule {
          options = {
            addr = mkOption {
              type = types.nullOr types.str;
              default = null;
            };
            port = mkOption {
              type = types.nullOr types.port;
              default = null;
            };
          };
        }
      );
    };
    hostKeys = mkOption {
      type = types.listOf hostKey;
      default = [
        {
          path = "/etc/ssh/ssh_host_ed25519_key";
          type = "ed25519";
        }
      ];
    };
    authorizedKeysFiles = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };
    authorizedKeysInHomedir = flag true;
    knownHosts = mkOption {
      type = types.attrsOf types.anything;
      default = { };
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
    };
    settings = mkOption {
      default = { };
      type = types.submodule {
        freeformType = types.attrsOf scalar;
        options = {
          PermitRootLogin = mkOption {
            type = types.enum [
              "yes"
              "without-password"
              "prohibit-password"
              "forced-commands-only"
              "no"
            ];
            default = "prohibit-password";
          };
          PasswordAuthentication = flag true;
          KbdInteractiveAuthentication = flag true;
          X11Forwarding = flag false;
          AllowUsers = mkOption {
            type = types.nullOr (types.listOf types.str);
            default = null;
          };
          LogLevel = mkOption {
            type = types.str;
            default = "INFO";
          };
        };
      };
    };
  };
  config = lib.mkIf cfg.enable {
    systemd.services.sshd = {
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      serviceConfig = {
        Type = "notify";
        ExecStart = "/run/current-system/sw/bin/sshd -D";
      };
    };
    networking.firewall.allowedTCPPorts = lib.mkIf cfg.openFirewall cfg.ports;
    users.users.sshd = {
      isSystemUser = true;
      group = "sshd";
    };
    users.groups.sshd = { };
  };
}
