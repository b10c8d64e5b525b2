# systemd's units, as NixOS declares and renders them. Manual: systemd.unit(5), systemd.service(5); options: search.nixos.org, systemd.*.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  unit = import ./units.nix { inherit lib pkgs; };
  cfg = config.systemd;

  ofKind =
    extra:
    mkOption {
      default = { };
      type = types.attrsOf (types.submodule ([ unit.common ] ++ extra));
    };
  listed =
    extra:
    mkOption {
      default = [ ];
      type = types.listOf (types.submodule ([ unit.common ] ++ extra));
    };
  section = name: { options.${name} = unit.section; };
  text = mkOption {
    type = types.lines;
    default = "";
  };
  rulesFile = types.attrsOf (
    types.attrsOf (
      types.attrsOf (
        types.submodule {
          options = {
            mode = mkOption {
              type = types.str;
              default = "-";
            };
            user = mkOption {
              type = types.str;
              default = "-";
            };
            group = mkOption {
              type = types.str;
              default = "-";
            };
            age = mkOption {
              type = types.str;
              default = "-";
            };
            argument = mkOption {
              type = types.str;
              default = "";
            };
          };
        }
      )
    )
  );

  rendered =
    suffix: sectionName: attribute:
    lib.mapAttrs' (
      name: data: lib.nameValuePair "${name}.${suffix}" (unit.render sectionName attribute data)
    );
  named =
    sectionName: attribute: units:
    builtins.listToAttrs (
      map (data: lib.nameValuePair data.name (unit.render sectionName attribute data)) units
    );
in
{
  options.systemd = {
    services = ofKind [ unit.service ];
    targets = ofKind [ ];
    sockets = ofKind [
      (section "socketConfig")
      unit.listening
    ];
    timers = ofKind [ (section "timerConfig") ];
    paths = ofKind [ (section "pathConfig") ];
    slices = ofKind [ (section "sliceConfig") ];
    mounts = listed [ unit.mount ];
    automounts = listed [ unit.automount ];
    units = mkOption {
      default = { };
      type = types.attrsOf (
        types.submodule {
          options = {
            text = mkOption {
              type = types.nullOr types.str;
              default = null;
            };
            enable = mkOption {
              type = types.bool;
              default = true;
            };
            wantedBy = mkOption {
              type = types.listOf types.str;
              default = [ ];
            };
            requiredBy = mkOption {
              type = types.listOf types.str;
              default = [ ];
            };
            aliases = mkOption {
              type = types.listOf types.str;
              default = [ ];
            };
          };
        }
      );
      description = "Every unit as its file reads.";
    };
    tmpfiles = {
      rules = mkOption {
        type = types.listOf types.str;
        default = [ ];
      };
      settings = mkOption {
        type = rulesFile;
        default = { };
      };
    };
    packages = mkOption {
      type = types.listOf types.package;
      default = [ ];
    };
    globalEnvironment = mkOption {
      type = types.attrsOf types.str;
      default = { };
    };
    settings.Manager = unit.section;
    extraConfig = text;
    coredump.enable = mkOption {
      type = types.bool;
      default = true;
    };
    defaultUnit = mkOption {
      type = types.str;
      default = "multi-user.target";
    };
    enableEmergencyMode = mkOption {
      type = types.bool;
      default = true;
    };
    network = {
      enable = mkOption {
        type = types.bool;
        default = false;
      };
      networks = mkOption {
        type = types.attrsOf types.anything;
        default = { };
      };
      netdevs = mkOption {
        type = types.attrsOf types.anything;
        default = { };
      };
      wait-online.enable = mkOption {
        type = types.bool;
        default = true;
      };
    };
    package = mkOption {
      type = types.package;
      default = pkgs.systemd;
    };
  };
  options.services.journald.extraConfig = text;
  options.services.journald.storage = mkOption {
    type = types.enum [
      "persistent"
      "volatile"
      "auto"
      "none"
    ];
    default = "persistent";
  };

  config.systemd.units =
    rendered "service" "Service" "serviceConfig" cfg.services
    // rendered "target" null null cfg.targets
    // rendered "socket" "Socket" "socketConfig" cfg.sockets
    // rendered "timer" "Timer" "timerConfig" cfg.timers
    // rendered "path" "Path" "pathConfig" cfg.paths
    // rendered "slice" "Slice" "sliceConfig" cfg.slices
    // named "Mount" "mountConfig" cfg.mounts
    // named "Automount" "automountConfig" cfg.automounts;

  # NixOS makes a timer of every service with a `startAt`.
  config.systemd.timers = lib.mapAttrs (_: service: {
    wantedBy = [ "timers.target" ];
    timerConfig.OnCalendar = service.startAt;
  }) (lib.filterAttrs (_: service: service.enable && service.startAt != [ ]) cfg.services);

  config.assertions = lib.concatLists (
    lib.mapAttrsToList (name: service: [
      {
        assertion =
          (service.serviceConfig.Type or "") != "oneshot"
          ||
            (service.serviceConfig.Restart or "no") != "always"
            && (service.serviceConfig.Restart or "no") != "on-success";
        message = "Service '${name}.service' with 'Type=oneshot' cannot have 'Restart=always' or 'Restart=on-success'.";
      }
      {
        assertion =
          !(service.script != "" && service.serviceConfig ? ExecStart && !service.scriptIsExecStart);
        message = "Service '${name}.service' has both script and serviceConfig.ExecStart.";
      }
    ]) cfg.services
  );
}
