{
  description = "Holdfast's nodes: NixOS with nix-bitcoin, made from what a Pulumi stack hands over";

  inputs = {
    # Archived upstream: the last release, and no security fixes to come. A maintained fork takes its place with one --override-input (README.md).
    nix-bitcoin.url = "github:fort-nix/nix-bitcoin/v0.0.139";

    # Ours, so that the system's own fixes come without a release of nix-bitcoin: `nix flake update nixpkgs nixpkgs-unstable`.
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    nixpkgs-unstable.url = "github:NixOS/nixpkgs/nixpkgs-unstable";
    nix-bitcoin.inputs.nixpkgs.follows = "nixpkgs";
    nix-bitcoin.inputs.nixpkgs-unstable.follows = "nixpkgs-unstable";

    disko.url = "github:nix-community/disko/v1.13.0";
    disko.inputs.nixpkgs.follows = "nixpkgs";

    # What the stack hands over: settings.json (formats/settings.ts, no secret), agent.mjs, bunker.mjs for a node that has one, and hardware-configuration.nix of a host that keeps its disks.
    # Every build overrides it; the example only lets the flake be looked at and checked.
    handover = {
      url = "path:./example";
      flake = false;
    };
  };

  outputs =
    {
      nixpkgs,
      nix-bitcoin,
      disko,
      handover,
      ...
    }:
    let
      inherit (nixpkgs) lib;
      platforms = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      systems = import ./systems.nix {
        inherit
          lib
          nix-bitcoin
          disko
          handover
          ;
      };
    in
    {
      # Evaluation is pure, and only the machine knows its platform: `nix build <flake>#holdfastSystems.<node>` looks here first.
      legacyPackages = lib.genAttrs platforms systems;

      inherit (systems "x86_64-linux") nixosConfigurations;

      # VM tests: for a machine with KVM. `nix flake check`, or one of them: `nix build .#checks.x86_64-linux.secrets`.
      checks.x86_64-linux = import ./checks/vm {
        pkgs = nixpkgs.legacyPackages.x86_64-linux;
        inherit nix-bitcoin disko handover;
      };
    };
}
