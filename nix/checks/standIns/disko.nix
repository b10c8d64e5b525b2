# disko's options, where no checkout of disko is at hand: its own types are checked only with one.
{ lib, ... }:
{
  options.disko = {
    devices = lib.mkOption {
      type = lib.types.attrsOf lib.types.anything;
      default = { };
    };
    enableConfig = lib.mkOption {
      type = lib.types.bool;
      default = true;
    };
    memSize = lib.mkOption {
      type = lib.types.int;
      default = 1024;
    };
  };
}
