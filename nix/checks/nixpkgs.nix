# What stands for the flake nixpkgs where there is none: its library with `nixosSystem`, and its packages, over the stand-ins of NixOS's options.
{
  # A checkout of nix-community/nixpkgs.lib.
  lib,
}:
let
  library = import (lib + "/lib");
  pkgs = import ./standIns/packages.nix { lib = library; };

  # What a system is evaluated from.
  system =
    { modules, specialArgs }:
    {
      class = "nixos";
      specialArgs = specialArgs // {
        inherit pkgs;
        modulesPath = toString ./standIns;
        utils = import ./standIns/escape.nix { lib = library; };
      };
      modules = modules ++ [
        ./standIns
        { system.build.toplevel = pkgs.writeText "nixos-system" ""; }
      ];
    };
in
{
  inherit system;
  lib = library // {
    nixosSystem =
      asked:
      let
        made = system asked;
      in
      library.evalModules (made // { modules = made.modules ++ [ { _module.check = false; } ]; });
  };
  legacyPackages = library.genAttrs [
    "x86_64-linux"
    "aarch64-linux"
  ] (_: pkgs);
}
