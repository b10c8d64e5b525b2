# What NixOS's VM tests give to a machine.
{ lib, ... }:
{
  options.virtualisation.memorySize = lib.mkOption {
    type = lib.types.ints.positive;
    default = 1024;
  };
  options.specialisation = lib.mkOption {
    type = lib.types.attrsOf (
      lib.types.submodule {
        options.configuration = lib.mkOption {
          type = lib.types.unspecified;
          default = { };
        };
      }
    );
    default = { };
  };
}
