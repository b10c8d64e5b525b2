# security.*: what hardens the system, and who may become whom.
{ lib, ... }:
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
  wrapper = types.submodule {
    options = {
      enable = flag true;
      source = mkOption { type = types.path; };
      program = mkOption {
        type = types.nullOr types.str;
        default = null;
      };
      owner = mkOption { type = types.str; };
      group = mkOption { type = types.str; };
      permissions = mkOption {
        type = types.strMatching "[ugoa]*[-+=][rwxXst]*|[0-7]{1,4}";
        default = "u+rx,g+x,o+x";
      };
      capabilities = mkOption {
        type = types.commas;
        default = "";
      };
      setuid = flag false;
      setgid = flag false;
    };
  };
in
{
  options.security = {
    doas = {
      enable = flag false;
      wheelNeedsPassword = flag true;
      extraConfig = lines;
      extraRules = mkOption {
        type = types.listOf (types.attrsOf types.anything);
        default = [ ];
      };
    };
    sudo = {
      enable = flag true;
      wheelNeedsPassword = flag true;
      execWheelOnly = flag false;
      extraConfig = lines;
    };
    wrappers = mkOption {
      type = types.attrsOf wrapper;
      default = { };
    };
    polkit = {
      enable = flag false;
      extraConfig = lines;
    };
    apparmor = {
      enable = flag false;
      killUnconfinedConfinables = flag false;
    };
    audit.enable = flag false;
    allowUserNamespaces = flag true;
    unprivilegedUsernsClone = flag false;
    protectKernelImage = flag false;
    lockKernelModules = flag false;
    allowSimultaneousMultithreading = flag true;
    forcePageTableIsolation = flag false;
    virtualisation.flushL1DataCache = mkOption {
      type = types.nullOr (
        types.enum [
          "never"
          "cond"
          "always"
        ]
      );
      default = null;
    };
    pki.certificateFiles = mkOption {
      type = types.listOf types.path;
      default = [ ];
    };
    pki.certificates = mkOption {
      type = types.listOf types.str;
      default = [ ];
    };
    pam.services = mkOption {
      type = types.attrsOf types.anything;
      default = { };
    };
  };
}
