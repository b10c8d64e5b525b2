# The flake's own outputs, with stand-ins where its inputs would be: what flake.nix and systems.nix do with a handover.
{
  lib,
  nixBitcoin,
  handover,
}:
let
  nixpkgs = import ./nixpkgs.nix { inherit lib; };
  library = nixpkgs.lib;
  pkgs = nixpkgs.legacyPackages.x86_64-linux;

  # Definitions of options that do not exist, as evaluate.nix finds them.
  undeclaredIn =
    { config, ... }@asked:
    let
      made = nixpkgs.system (removeAttrs asked [ "config" ]);
    in
    (library.evalModules (
      made
      // {
        specialArgs = made.specialArgs // {
          inherit config;
        };
        modules = made.modules ++ [ ./standIns/undeclared.nix ];
      }
    )).config.undeclaredDefinitions or [ ];

  # What a VM test would boot: its machines' assertions, and its script.
  runNixOSTest =
    {
      nodes,
      testScript,
      node,
      ...
    }:
    {
      inherit testScript;
      machines = builtins.mapAttrs (
        _: module:
        let
          modules = [
            module
            ./standIns/virtualMachine.nix
          ];
          inherit
            (library.nixosSystem {
              inherit (node) specialArgs;
              inherit modules;
            })
            config
            ;
        in
        {
          assertions = map (assertion: assertion.message) (
            builtins.filter (assertion: !assertion.assertion) config.assertions
          );
          undeclared = undeclaredIn {
            inherit modules config;
            inherit (node) specialArgs;
          };
          units = builtins.attrNames config.systemd.units;
          secrets = builtins.attrNames (config.nix-bitcoin.secrets or { });
          inherit (config.networking) hostName;
        }
      ) nodes;
    };

  source = folder: { outPath = toString folder; };
  outputs = (import ../flake.nix).outputs {
    nixpkgs = {
      lib = library;
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
  systems = {
    nixosConfigurations = builtins.mapAttrs (_: host) outputs.nixosConfigurations;
    legacyPackages = builtins.mapAttrs (_: platform: {
      nixosConfigurations = builtins.mapAttrs (_: host) platform.nixosConfigurations;
      holdfastSystems = builtins.mapAttrs (_: toString) platform.holdfastSystems;
    }) outputs.legacyPackages;
  };
  checks = outputs.checks.x86_64-linux;
}
