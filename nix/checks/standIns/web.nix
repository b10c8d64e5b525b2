# services.nginx.*
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
  listen = types.submodule {
    options = {
      addr = mkOption { type = types.str; };
      port = maybe types.port;
      ssl = flag false;
      proxyProtocol = flag false;
      extraParameters = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
    };
  };
  location = types.submodule {
    options = {
      proxyPass = maybe types.str;
      proxyWebsockets = flag false;
      root = maybe types.path;
      alias = maybe types.path;
      index = maybe types.str;
      tryFiles = maybe types.str;
      return = maybe (
        types.oneOf [
          types.str
          types.int
        ]
      );
      extraConfig = lines;
      priority = mkOption {
        type = types.int;
        default = 1000;
      };
      recommendedProxySettings = flag false;
    };
  };
  host = types.submodule {
    options = {
      serverName = maybe types.str;
      serverAliases = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
      listen = mkOption {
        type = types.listOf listen;
        default = [ ];
      };
      listenAddresses = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
      default = flag false;
      root = maybe types.path;
      onlySSL = flag false;
      addSSL = flag false;
      forceSSL = flag false;
      enableACME = flag false;
      sslCertificate = mkOption { type = types.path; };
      sslCertificateKey = mkOption { type = types.path; };
      locations = mkOption {
        type = types.attrsOf location;
        default = { };
      };
      extraConfig = lines;
    };
  };
  cfg = config.services.nginx;
in
{
  options.services.nginx = {
    enable = flag false;
    enableReload = flag false;
    package = mkOption {
      type = types.package;
      default = pkgs.nginx;
    };
    user = mkOption {
      type = types.str;
      default = "nginx";
    };
    group = mkOption {
      type = types.str;
      default = "nginx";
    };
    commonHttpConfig = lines;
    appendHttpConfig = lines;
    appendConfig = lines;
    virtualHosts = mkOption {
      type = types.attrsOf host;
      default = { };
    };
  }
  // lib.genAttrs [
    "recommendedBrotliSettings"
    "recommendedGzipSettings"
    "recommendedOptimisation"
    "recommendedProxySettings"
    "recommendedTlsSettings"
  ] (_: flag false);

  config = lib.mkIf cfg.enable {
    users.users.${cfg.user} = {
      isSystemUser = true;
      inherit (cfg) group;
    };
    users.groups.${cfg.group} = { };
    systemd.services.nginx = {
      wantedBy = [ "multi-user.target" ];
      after = [ "network.target" ];
      serviceConfig = {
        User = cfg.user;
        Group = cfg.group;
        ExecStart = "${cfg.package}/bin/nginx";
      };
    };
  };
}
