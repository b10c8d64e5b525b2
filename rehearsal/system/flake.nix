{
  description = "Holdfast's rehearsal: systems of NixOS's interface for a Debian machine, with no nixpkgs";

  # What the product hands over (settings.json, agent.mjs). Every build overrides it; the example only lets the flake be looked at.
  inputs.handover = {
    url = "path:./example";
    flake = false;
  };

  outputs =
    { handover, ... }:
    let
      systems = import ./systems.nix;
    in
    {
      inherit (systems { inherit handover; }) legacyPackages;
      lib = { inherit systems; };
    };
}
