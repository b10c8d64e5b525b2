# Stands for the options of NixOS that decide whether a secret's owner exists.
{ lib, ... }:
let
  inherit (lib) mkOption types;
  account = types.submodule { freeformType = with types; attrsOf anything; };
in
{
  options.users = {
    users = mkOption {
      type = types.attrsOf account;
      default = { };
    };
    groups = mkOption {
      type = types.attrsOf account;
      default = { };
    };
  };
  config = {
    # Whatever else nix-bitcoin sets in NixOS decides nothing about its secrets.
    _module.check = false;
    users.users.root = { };
    users.groups.root = { };
  };
}
