# A node's configuration, evaluated without a nixpkgs tree: nixpkgs' lib, nix-bitcoin's own modules, ours, and stand-ins for the options of NixOS that they use.
# The answer is data: see report.nix. Files that would be written to the store come on stderr, one `trace: holdfast-file {…}` for each (see standIns/packages.nix).
{
  # A checkout of nix-community/nixpkgs.lib.
  lib,
  # A checkout of nix-bitcoin.
  nixBitcoin,
  # What the stack hands over, as formats/settings.ts: a path to the JSON, or its attributes.
  settings,
  # agent.mjs; any file will do, since nothing is built.
  agent ? ./report.nix,
  # bunker.mjs, likewise.
  bunker ? ./report.nix,
  # A checkout of nix-community/disko; without one its options take anything.
  disko ? null,
  extraModules ? [ ],
}:
let
  library = import (lib + "/lib");
  pkgs = import ./standIns/packages.nix { lib = library; };

  modules = [
    (nixBitcoin + "/modules/modules.nix")
    ./standIns
    (if disko == null then ./standIns/disko.nix else disko + "/module.nix")
    ../node.nix
    {
      nix-bitcoin.pkgs =
        (import (nixBitcoin + "/pkgs") {
          inherit pkgs;
          pkgsUnstable = pkgs;
          pkgs-25_05 = pkgs;
        }).modulesPkgs;
    }
  ]
  ++ extraModules;

  specialArgs = {
    inherit
      pkgs
      agent
      bunker
      nixBitcoin
      ;
    settings =
      if builtins.isAttrs settings then settings else builtins.fromJSON (builtins.readFile settings);
    modulesPath = toString ./standIns;
    utils = import ./standIns/escape.nix { lib = library; };
  };

  evaluated = library.evalModules {
    class = "nixos";
    inherit specialArgs;
    modules = modules ++ [ { _module.check = false; } ];
  };

  # NixOS refuses the first definition of an option that does not exist. This second look collects them all; it is given the first one's configuration, because
  # nix-bitcoin's modules choose what they define by looking at it.
  undeclared =
    (library.evalModules {
      class = "nixos";
      specialArgs = specialArgs // {
        inherit (evaluated) config;
      };
      modules = modules ++ [ ./standIns/undeclared.nix ];
    }).config.undeclaredDefinitions or [ ];
in
import ./report.nix {
  lib = library;
  inherit (evaluated) config options;
  inherit undeclared;
}
