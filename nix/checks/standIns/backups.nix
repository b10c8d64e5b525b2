# services.restic.backups and services.duplicity.
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
  restic = types.submodule {
    options = {
      repository = maybe types.str;
      repositoryFile = maybe types.path;
      passwordFile = maybe types.str;
      environmentFile = maybe types.str;
      user = mkOption {
        type = types.str;
        default = "root";
      };
      paths = mkOption {
        type = types.nullOr (types.listOf types.str);
        default = [ ];
      };
      exclude = strings;
      extraBackupArgs = strings;
      extraOptions = strings;
      pruneOpts = strings;
      initialize = flag false;
      createWrapper = flag true;
      package = mkOption {
        type = types.package;
        default = pkgs.restic;
      };
      timerConfig = mkOption {
        type = types.nullOr (types.attrsOf types.anything);
        default = {
          OnCalendar = "daily";
          Persistent = true;
        };
      };
      backupPrepareCommand = maybe types.str;
      backupCleanupCommand = maybe types.str;
      dynamicFilesFrom = maybe types.str;
    };
  };
  backups = config.services.restic.backups;
  duplicity = config.services.duplicity;
in
{
  options.services = {
    restic.backups = mkOption {
      type = types.attrsOf restic;
      default = { };
    };
    duplicity = {
      enable = flag false;
      root = mkOption {
        type = types.path;
        default = "/";
      };
      include = strings;
      exclude = strings;
      includeFileList = maybe types.path;
      excludeFileList = maybe types.path;
      targetUrl = mkOption { type = types.str; };
      secretFile = maybe types.path;
      frequency = mkOption {
        type = types.nullOr types.str;
        default = "daily";
      };
      extraFlags = strings;
      fullIfOlderThan = mkOption {
        type = types.str;
        default = "never";
      };
      cleanup = {
        maxAge = maybe types.str;
        maxFull = maybe types.int;
        maxIncr = maybe types.int;
      };
    };
  };
  config = {
    assertions = lib.mapAttrsToList (name: backup: {
      assertion = (backup.repository == null) != (backup.repositoryFile == null);
      message = "services.restic.backups.${name}: exactly one of repository or repositoryFile should be set";
    }) backups;
    systemd.services =
      lib.mapAttrs' (
        name: backup:
        lib.nameValuePair "restic-backups-${name}" {
          wants = [ "network-online.target" ];
          after = [ "network-online.target" ];
          restartIfChanged = false;
          serviceConfig = {
            Type = "oneshot";
            User = backup.user;
            ExecStart = [ "${backup.package}/bin/restic backup" ];
            EnvironmentFile = lib.mkIf (backup.environmentFile != null) backup.environmentFile;
          };
        }
      ) backups
      // lib.optionalAttrs duplicity.enable {
        duplicity = {
          serviceConfig = {
            Type = "oneshot";
            EnvironmentFile = lib.mkIf (duplicity.secretFile != null) duplicity.secretFile;
          };
          script = "${pkgs.duplicity}/bin/duplicity ${duplicity.targetUrl}";
          startAt = lib.optional (duplicity.frequency != null) duplicity.frequency;
        };
      };
    systemd.timers = lib.mapAttrs' (
      name: backup:
      lib.nameValuePair "restic-backups-${name}" {
        wantedBy = [ "timers.target" ];
        inherit (backup) timerConfig;
      }
    ) (lib.filterAttrs (_: backup: backup.timerConfig != null) backups);
  };
}
