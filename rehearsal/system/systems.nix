# A flake's outputs for one handover: `holdfastSystems.<node>`, and `holdfastSystems.base`, the bare machine.
#
# `overrides` changes the units before they are written, so that another flake can make a variant of a system:
#   rehearsal.lib.systems { inherit handover; overrides = units: units // { "ssh.service" = …; }; }
#
# They stand under `legacyPackages.<platform>`, where `nix build <flake>#holdfastSystems.<node>` looks first: evaluation is pure, and only the machine knows its platform.
{
  handover,
  overrides ? units: units,
}:
let
  settings = builtins.fromJSON (builtins.readFile "${handover}/settings.json");
  node = settings.place.node;

  forPlatform =
    platform:
    let
      text = import ./text.nix { inherit platform; };
      programs = import ./programs.nix { inherit text handover; };
      layout = import ./layout.nix;
      confinement = import ./confinement.nix { inherit layout; };
      toplevel = import ./toplevel.nix { inherit text programs; };
      module =
        file:
        import file {
          inherit
            settings
            text
            programs
            layout
            confinement
            ;
        };
      units =
        builtins.foldl' (all: file: all // module file) { } [
          ./modules/ssh.nix
          ./modules/secrets.nix
          ./modules/firewall.nix
          ./modules/btcd.nix
          ./modules/lnd.nix
          ./modules/identity.nix
        ]
        // (if settings ? tunnel then module ./modules/wireguard.nix else { })
        // (if settings ? bunker then module ./modules/bunker.nix else { });
      base = toplevel {
        name = "base";
        units = { };
      };
    in
    {
      inherit base;
      ${node} = toplevel {
        name = node;
        units = overrides units;
        inherit base settings handover;
      };
    };
in
if settings.format != "holdfast-settings/1" then
  throw "rehearsal: settings.json has the format ${settings.format}, and this flake reads holdfast-settings/1. Use the flake of the same version of Holdfast."
else if settings.place.network != "regtest" then
  throw "rehearsal: the node ${node} is on ${settings.place.network}, and the rehearsal plays regtest alone. Name the NixOS flake in this stack's configuration."
else if (settings.firewall.backend or "nftables") != "nftables" then
  throw "rehearsal: the node ${node} wants a firewall of iptables (nixos.isolation is netns), and the rehearsal has neither that nor network namespaces for its services. Set isolation to none in this stack, or name the NixOS flake."
else if node == "base" then
  throw "rehearsal: a node cannot be called base: that is the name of the bare machine. Choose another name."
else
  {
    legacyPackages = builtins.listToAttrs (
      map
        (platform: {
          name = platform;
          value.holdfastSystems = forPlatform platform;
        })
        [
          "x86_64-linux"
          "aarch64-linux"
        ]
    );
  }
