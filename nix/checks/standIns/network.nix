# networking.*, without firewall and WireGuard.
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
  maybe =
    type:
    mkOption {
      type = types.nullOr type;
      default = null;
    };
  address = types.submodule {
    options = {
      address = mkOption { type = types.str; };
      prefixLength = mkOption { type = types.ints.between 0 128; };
    };
  };
  gateway = types.either types.str (
    types.submodule {
      options = {
        address = mkOption { type = types.str; };
        interface = maybe types.str;
      };
    }
  );
  interface = {
    options = {
      useDHCP = maybe types.bool;
      mtu = maybe types.int;
      ipv4.addresses = mkOption {
        type = types.listOf address;
        default = [ ];
      };
      ipv6.addresses = mkOption {
        type = types.listOf address;
        default = [ ];
      };
    };
  };
in
{
  options.networking = {
    hostName = mkOption {
      type = types.strMatching "^$|^[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?$";
      default = "nixos";
    };
    hostId = maybe types.str;
    domain = maybe types.str;
    hosts = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
    };
    extraHosts = mkOption {
      type = types.lines;
      default = "";
    };
    nameservers = strings;
    search = strings;
    useDHCP = flag true;
    useNetworkd = flag false;
    enableIPv6 = flag true;
    usePredictableInterfaceNames = flag true;
    tempAddresses = mkOption {
      type = types.enum [
        "disabled"
        "enabled"
        "default"
      ];
      default = "default";
    };
    defaultGateway = maybe gateway;
    defaultGateway6 = maybe gateway;
    interfaces = mkOption {
      type = types.attrsOf (types.submodule interface);
      default = { };
    };
    bridges = mkOption {
      type = types.attrsOf types.anything;
      default = { };
    };
    dhcpcd = {
      enable = flag true;
      denyInterfaces = strings;
      extraConfig = mkOption {
        type = types.lines;
        default = "";
      };
    };
    timeServers = strings;
    iproute2 = {
      enable = flag false;
      rttablesExtraConfig = mkOption {
        type = types.lines;
        default = "";
      };
    };
  };
  options.services.resolved.enable = flag false;
  options.services.timesyncd.enable = flag true;
  options.services.chrony.enable = flag false;

  config.systemd.services.dhcpcd =
    lib.mkIf (config.networking.useDHCP && config.networking.dhcpcd.enable)
      {
        wantedBy = [ "multi-user.target" ];
        wants = [ "network.target" ];
        before = [ "network-online.target" ];
        serviceConfig.ExecStart = "${pkgs.dhcpcd}/bin/dhcpcd";
      };
}
