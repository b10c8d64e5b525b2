# The flake's own outputs, with stand-ins where its inputs would be: what flake.nix and systems.nix do with a handover.
{ lib, nixBitcoin, handover }:
let
  library = import (lib + "/lib");
  pkgs = import ./standIns/packages.nix { lib = library; };

  nixosSystem =
    { modules, specialArgs }:
    library.evalModules {
      class = "nixos";
      specialArgs = specialArgs // {
        inherit pkgs;
        modulesPath = toString ./standIns;
        utils = import ./standIns/escape.nix { lib = library; };
      };
      modules = modules ++ [
        ./standIns
        {
          _module.check = false;
          system.build.toplevel = pkgs.writeText "nixos-system" "";
        }
      ];
    };

  # What a VM test would boot: its machines' assertions, and its script.
  runNixOSTest =
    { nodes, testScript, node, ... }:
    {
      inherit testScript;
      machines = builtins.mapAttrs (
        _: module:
        let
          inherit
            (nixosSystem {
              inherit (node) specialArgs;
              modules = [
                module
                ./standIns/virtualMachine.nix
              ];
            })
            config
            ;
        in
        {
          assertions = map (assertion: assertion.message) (builtins.filter (assertion: !assertion.assertion) config.assertions);
          units = builtins.attrNames config.systemd.units;
        }
      ) nodes;
    };

  source = folder: { outPath = toString folder; };
  outputs = (import ../flake.nix).outputs {
    nixpkgs = {
      lib = library // {
        inherit nixosSystem;
      };
      legacyPackages.x86_64-linux = pkgs // {
        testers = {
          inherit runNixOSTest;
        };
      };
    };
    nix-bitcoin = source nixBitcoin // {
      nixosModules.default = {
        imports = [ (nixBitcoin + "/modules/modules.nix") ];
        nix-bitcoin.pkgs =
          (import (nixBitcoin + "/pkgs") {
            inherit pkgs;
            pkgsUnstable = pkgs;
            pkgs-25_05 = pkgs;
          }).modulesPkgs;
      };
    };
    disko.nixosModules.default = ./standIns/disko.nix;
    handover = source handover;
  };
  host = configuration: {
    inherit (configuration.config.networking) hostName;
    inherit (configuration.config.nixpkgs) hostPlatform;
    fileSystems = builtins.attrNames configuration.config.fileSystems;
  };
in
{
  nixosConfigurations = builtins.mapAttrs (_: host) outputs.nixosConfigurations;
  legacyPackages = builtins.mapAttrs (_: platform: {
    nixosConfigurations = builtins.mapAttrs (_: host) platform.nixosConfigurations;
    holdfastSystems = builtins.mapAttrs (_: toString) platform.holdfastSystems;
  }) outputs.legacyPackages;
  checks = outputs.checks.x86_64-linux;
}
