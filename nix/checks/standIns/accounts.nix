# Users and groups, with the assertions that NixOS has about them.
{ config, lib, ... }:
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

  user = { name, config, ... }: {
    options = {
      enable = flag true;
      name = mkOption {
        type = types.passwdEntry types.str;
        default = name;
      };
      description = mkOption {
        type = types.passwdEntry types.str;
        default = "";
      };
      uid = maybe types.int;
      isSystemUser = flag false;
      isNormalUser = flag false;
      group = mkOption {
        type = types.str;
        default = "";
      };
      extraGroups = strings;
      home = mkOption {
        type = types.passwdEntry types.path;
        default = "/var/empty";
      };
      homeMode = mkOption {
        type = types.strMatching "[0-7]{1,5}";
        default = "700";
      };
      createHome = flag false;
      shell = maybe (types.either types.shellPackage (types.passwdEntry types.path));
      useDefaultShell = flag false;
      linger = maybe types.bool;
      password = maybe types.str;
      hashedPassword = maybe (types.passwdEntry types.str);
      hashedPasswordFile = maybe types.str;
      initialHashedPassword = maybe types.str;
      packages = mkOption {
        type = types.listOf types.package;
        default = [ ];
      };
      openssh.authorizedKeys = {
        keys = mkOption {
          type = types.listOf types.singleLineStr;
          default = [ ];
        };
        keyFiles = mkOption {
          type = types.listOf types.path;
          default = [ ];
        };
      };
    };
    config = lib.mkIf config.isNormalUser {
      group = lib.mkDefault "users";
      createHome = lib.mkDefault true;
      home = lib.mkDefault "/home/${name}";
      useDefaultShell = lib.mkDefault true;
    };
  };

  group = { name, ... }: {
    options = {
      name = mkOption {
        type = types.passwdEntry types.str;
        default = name;
      };
      gid = maybe types.int;
      members = strings;
    };
  };
in
{
  options.users = {
    mutableUsers = flag true;
    users = mkOption {
      type = types.attrsOf (types.submodule user);
      default = { };
    };
    groups = mkOption {
      type = types.attrsOf (types.submodule group);
      default = { };
    };
    allowNoPasswordLogin = flag false;
    motd = maybe types.lines;
  };

  config.users = {
    users.root = {
      isSystemUser = true;
      group = "root";
      uid = 0;
      home = "/root";
    };
    users.nobody = {
      isSystemUser = true;
      group = "nogroup";
    };
    groups = lib.genAttrs [
      "root"
      "nogroup"
      "users"
      "wheel"
      "keys"
      "systemd-journal"
      "disk"
      "kmem"
      "tty"
      "messagebus"
    ] (_: { });
  };

  config.assertions = lib.concatLists (
    lib.mapAttrsToList (name: account: [
      {
        assertion = account.isSystemUser != account.isNormalUser;
        message = "Exactly one of users.users.${name}.isSystemUser and users.users.${name}.isNormalUser must be set.";
      }
      {
        assertion = account.group != "";
        message = "users.users.${name}.group is unset. This used to default to nogroup, but this is unsafe. Declare users.groups.${name} and set users.users.${name}.group = \"${name}\".";
      }
      {
        assertion = account.group == "" || builtins.hasAttr account.group config.users.groups;
        message = "The primary group of user ${name}, ${account.group}, is not declared in users.groups.";
      }
    ]) config.users.users
  );
}
