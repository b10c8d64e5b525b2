# services.postgresql, postgresqlBackup and mysql.
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
  attributes = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  postgresql = config.services.postgresql;
  backup = config.services.postgresqlBackup;
  mysql = config.services.mysql;
  program = "${pkgs.postgresql}/bin/postgres";
in
{
  options.services = {
    postgresql = {
      enable = flag false;
      package = mkOption {
        type = types.package;
        default = pkgs.postgresql;
      };
      dataDir = mkOption {
        type = types.path;
        default = "/var/lib/postgresql/17";
      };
      enableTCPIP = flag false;
      enableJIT = flag false;
      authentication = mkOption {
        type = types.lines;
        default = "";
      };
      identMap = mkOption {
        type = types.lines;
        default = "";
      };
      initialScript = mkOption {
        type = types.nullOr types.path;
        default = null;
      };
      ensureDatabases = strings;
      ensureUsers = mkOption {
        default = [ ];
        type = types.listOf (
          types.submodule {
            options = {
              name = mkOption { type = types.str; };
              ensureDBOwnership = flag false;
              ensureClauses = attributes;
            };
          }
        );
      };
      settings = attributes;
    };
    postgresqlBackup = {
      enable = flag false;
      databases = strings;
      backupAll = flag (backup.databases == [ ]);
      location = mkOption {
        type = types.path;
        default = "/var/backup/postgresql";
      };
      compression = mkOption {
        type = types.enum [
          "none"
          "gzip"
          "zstd"
        ];
        default = "gzip";
      };
      startAt = mkOption {
        type = types.either (types.listOf types.str) types.str;
        default = "*-*-* 01:15:00";
      };
      pgdumpOptions = mkOption {
        type = types.separatedString " ";
        default = "-C";
      };
    };
    mysql = {
      enable = flag false;
      package = mkOption { type = types.package; };
      dataDir = mkOption {
        type = types.path;
        default = "/var/lib/mysql";
      };
      ensureDatabases = strings;
      ensureUsers = mkOption {
        default = [ ];
        type = types.listOf (
          types.submodule {
            options = {
              name = mkOption { type = types.str; };
              ensurePermissions = mkOption {
                type = types.attrsOf types.str;
                default = { };
              };
            };
          }
        );
      };
      settings = attributes;
    };
  };

  config = {
    assertions = map (user: {
      assertion = user.ensureDBOwnership -> builtins.elem user.name postgresql.ensureDatabases;
      message = "For each database user defined with `services.postgresql.ensureUsers` and `ensureDBOwnership = true;`, a database with the same name must be defined in `services.postgresql.ensureDatabases`. Offender: ${user.name}";
    }) postgresql.ensureUsers;

    users.users = lib.mkMerge [
      (lib.mkIf postgresql.enable {
        postgres = {
          isSystemUser = true;
          group = "postgres";
          home = "/var/lib/postgresql";
        };
      })
      (lib.mkIf mysql.enable {
        mysql = {
          isSystemUser = true;
          group = "mysql";
          home = mysql.dataDir;
        };
      })
    ];
    users.groups = lib.mkMerge [
      (lib.mkIf postgresql.enable { postgres = { }; })
      (lib.mkIf mysql.enable { mysql = { }; })
    ];

    systemd.targets.postgresql = lib.mkIf postgresql.enable {
      wantedBy = [ "multi-user.target" ];
      requires = [
        "postgresql.service"
        "postgresql-setup.service"
      ];
    };
    systemd.services = lib.mkMerge [
      (lib.mkIf postgresql.enable {
        postgresql = {
          after = [ "network.target" ];
          serviceConfig = {
            Type = "notify";
            User = "postgres";
            ExecStart = program;
          };
        };
        postgresql-setup = {
          requires = [ "postgresql.service" ];
          after = [ "postgresql.service" ];
          requiredBy = [ "postgresql.target" ];
          serviceConfig = {
            Type = "oneshot";
            User = "postgres";
            RemainAfterExit = true;
          };
          path = [ postgresql.package ];
          script = "true";
        };
      })
      (lib.mkIf backup.enable (
        lib.genAttrs
          (
            map (name: "postgresqlBackup-${name}") backup.databases
            ++ lib.optional backup.backupAll "postgresqlBackup"
          )
          (_: {
            requires = [ "postgresql.target" ];
            inherit (backup) startAt;
            serviceConfig = {
              Type = "oneshot";
              User = "postgres";
            };
            script = "true";
          })
      ))
      (lib.mkIf mysql.enable {
        mysql = {
          wantedBy = [ "multi-user.target" ];
          after = [ "network.target" ];
          serviceConfig = {
            Type = "notify";
            User = "mysql";
            ExecStart = "${mysql.package}/bin/mysqld";
          };
        };
      })
    ];
  };
}
