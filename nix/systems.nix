# The systems of one handover, for one platform: `nixosConfigurations.<node>`, and `holdfastSystems.<node>`, its toplevel, which is what the stack builds and pushes.
{
  lib,
  nix-bitcoin,
  disko,
  handover,
}:
platform:
let
  settings = builtins.fromJSON (builtins.readFile "${handover}/settings.json");
  inherit (settings.place) node;
  hardware = handover + "/hardware-configuration.nix";

  configuration = lib.nixosSystem {
    specialArgs = {
      inherit settings;
      nixBitcoin = nix-bitcoin;
      agent = handover + "/agent.mjs";
      # There for a node that has one.
      bunker = handover + "/bunker.mjs";
    };
    modules = [
      nix-bitcoin.nixosModules.default
      disko.nixosModules.default
      ./node.nix
      { nixpkgs.hostPlatform = lib.mkDefault platform; }
    ]
    ++ lib.optional (builtins.pathExists hardware) hardware;
  };
in
if settings.format != "holdfast-settings/1" then
  throw "settings.json has the format ${settings.format}, and this flake reads holdfast-settings/1. Use the flake of the same version of Holdfast."
else
  {
    nixosConfigurations.${node} = configuration;
    holdfastSystems.${node} = configuration.config.system.build.toplevel;
  }
