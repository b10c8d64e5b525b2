# NixOS's firewall in both its forms (iptables, and nftables' table `nixos-fw`), and tables of one's own.
# networking.firewall.*, networking.nftables.*: search.nixos.org; the nftables form's options are described in the NixOS manual, "Firewall".
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
  ports = mkOption {
    type = types.listOf types.port;
    default = [ ];
    apply = list: lib.unique (builtins.sort builtins.lessThan list);
  };
  range = types.submodule {
    options = {
      from = mkOption { type = types.port; };
      to = mkOption { type = types.port; };
    };
  };
  ranges = mkOption {
    type = types.listOf range;
    default = [ ];
  };
  openings = {
    allowedTCPPorts = ports;
    allowedUDPPorts = ports;
    allowedTCPPortRanges = ranges;
    allowedUDPPortRanges = ranges;
  };
  table = { name, ... }: {
    options = {
      enable = flag true;
      name = mkOption {
        type = types.str;
        default = name;
      };
      family = mkOption {
        type = types.enum [
          "ip"
          "ip6"
          "inet"
          "arp"
          "bridge"
          "netdev"
        ];
      };
      content = mkOption { type = types.lines; };
    };
  };

  cfg = config.networking.firewall;
  nftables = config.networking.nftables;

  set = list: "{ ${lib.concatMapStringsSep ", " toString list} }";
  all =
    name: opened:
    opened.${"allowed${name}Ports"}
    ++ map ({ from, to }: "${toString from}-${toString to}") opened.${"allowed${name}PortRanges"};
  accept =
    interface: protocol: opened:
    lib.optionalString (opened != [ ]) "${interface}${protocol} dport ${set opened} accept\n";
  acceptBoth =
    interface: opened:
    accept interface "tcp" (all "TCP" opened) + accept interface "udp" (all "UDP" opened);
in
{
  options.networking = {
    firewall = openings // {
      enable = flag true;
      package = mkOption {
        type = types.package;
        default = if nftables.enable then pkgs.nftables else pkgs.iptables;
      };
      backend = mkOption {
        type = types.enum [
          "iptables"
          "nftables"
          "firewalld"
        ];
        default = if nftables.enable then "nftables" else "iptables";
      };
      interfaces = mkOption {
        type = types.attrsOf (types.submodule { options = openings; });
        default = { };
      };
      trustedInterfaces = strings;
      extraCommands = lines;
      extraStopCommands = lines;
      extraInputRules = lines;
      extraForwardRules = lines;
      extraReversePathFilterRules = lines;
      extraPackages = mkOption {
        type = types.listOf types.package;
        default = [ ];
      };
      filterForward = flag false;
      allowPing = flag true;
      pingLimit = mkOption {
        type = types.nullOr (types.separatedString " ");
        default = null;
      };
      rejectPackets = flag false;
      checkReversePath = mkOption {
        type = types.either types.bool (
          types.enum [
            "strict"
            "loose"
          ]
        );
        default = true;
      };
      logRefusedConnections = flag true;
      logRefusedPackets = flag false;
      logReversePathDrops = flag false;
      autoLoadConntrackHelpers = flag false;
      connectionTrackingModules = strings;
    };
    nftables = {
      enable = flag false;
      ruleset = lines;
      rulesetFile = mkOption {
        type = types.nullOr types.path;
        default = null;
      };
      checkRuleset = flag true;
      preCheckRuleset = lines;
      flushRuleset = flag (nftables.ruleset != "" || nftables.rulesetFile != null);
      extraDeletions = lines;
      flattenRulesetFile = flag false;
      tables = mkOption {
        type = types.attrsOf (types.submodule table);
        default = { };
      };
    };
    nat = {
      enable = flag false;
      internalInterfaces = strings;
      externalInterface = mkOption {
        type = types.nullOr types.str;
        default = null;
      };
    };
  };

  config = {
    assertions = [
      {
        assertion = !(nftables.enable && cfg.enable && cfg.extraCommands != "");
        message = "extraCommands is incompatible with the nftables based firewall: ${cfg.extraCommands}";
      }
      {
        assertion = !(nftables.enable && cfg.enable && cfg.extraStopCommands != "");
        message = "extraStopCommands is incompatible with the nftables based firewall: ${cfg.extraStopCommands}";
      }
      {
        assertion = !(cfg.enable && cfg.filterForward && !nftables.enable);
        message = "filterForward only works with the nftables based firewall.";
      }
    ];

    networking.nftables.tables.nixos-fw = lib.mkIf (cfg.enable && nftables.enable) {
      family = "inet";
      content = ''
        chain input {
          type filter hook input priority filter; policy drop;
          iifname { ${
            lib.concatMapStringsSep ", " (name: "\"${name}\"") ([ "lo" ] ++ cfg.trustedInterfaces)
          } } accept
          ct state vmap { invalid : drop, established : accept, related : accept, new : jump input-allow, untracked : jump input-allow }
        }
        chain input-allow {
          ${acceptBoth "" cfg}
          ${lib.concatStrings (lib.mapAttrsToList (name: acceptBoth "iifname \"${name}\" ") cfg.interfaces)}
          ${lib.optionalString cfg.allowPing "icmp type echo-request accept"}
          ${cfg.extraInputRules}
        }
        ${lib.optionalString cfg.filterForward ''
          chain forward {
            type filter hook forward priority filter; policy drop;
            ct state vmap { invalid : drop, established : accept, related : accept, new : jump forward-allow, untracked : jump forward-allow }
          }
          chain forward-allow {
            ${cfg.extraForwardRules}
          }
        ''}
      '';
    };

    systemd.services = {
      nftables = lib.mkIf nftables.enable {
        wantedBy = [ "sysinit.target" ];
        before = [
          "network-pre.target"
          "shutdown.target"
        ];
        wants = [ "network-pre.target" ];
        conflicts = [ "shutdown.target" ];
        reloadIfChanged = true;
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${pkgs.nftables}/bin/nft -f rules";
        };
      };
      firewall = lib.mkIf (cfg.enable && !nftables.enable) {
        wantedBy = [ "sysinit.target" ];
        before = [ "network-pre.target" ];
        wants = [ "network-pre.target" ];
        serviceConfig = {
          Type = "oneshot";
          RemainAfterExit = true;
          ExecStart = "${cfg.package}/bin/iptables-restore";
        };
      };
    };
  };
}
