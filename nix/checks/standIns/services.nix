# Small services that nix-bitcoin switches on or reads.
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
  packages = mkOption {
    type = types.listOf types.package;
    default = [ ];
  };
  redis = types.submodule {
    options = {
      enable = flag false;
      port = mkOption {
        type = types.port;
        default = 0;
      };
      user = mkOption {
        type = types.str;
        default = "redis";
      };
    };
  };
in
{
  options.services = {
    dbus = {
      enable = flag true;
      inherit packages;
      implementation = mkOption {
        type = types.enum [
          "dbus"
          "broker"
        ];
        default = "broker";
      };
    };
    udev = {
      inherit packages;
      extraRules = mkOption {
        type = types.lines;
        default = "";
      };
    };
    usbguard = {
      enable = flag false;
      rules = mkOption {
        type = types.nullOr types.lines;
        default = null;
      };
    };
    trezord.enable = flag false;
    redis.servers = mkOption {
      type = types.attrsOf redis;
      default = { };
    };
    logrotate.enable = flag true;
    fstrim.enable = flag false;
    smartd.enable = flag false;
    qemuGuest.enable = flag false;
    getty.autologinUser = mkOption {
      type = types.nullOr types.str;
      default = null;
    };
    logind.settings.Login = mkOption {
      type = types.attrsOf types.anything;
      default = { };
    };
    cloud-init.enable = flag false;
    avahi.enable = flag false;
    xserver.enable = flag false;
  };
  config.systemd.services = {
    usbguard = lib.mkIf config.services.usbguard.enable {
      wantedBy = [ "basic.target" ];
      serviceConfig.ExecStart = "${pkgs.coreutils}/bin/true";
    };
    trezord = lib.mkIf config.services.trezord.enable {
      wantedBy = [ "multi-user.target" ];
      serviceConfig.ExecStart = "${pkgs.coreutils}/bin/true";
    };
  };
}
