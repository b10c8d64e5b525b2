# Tests in virtual machines, for a machine with KVM: `nix flake check`, with a handover that has the real agent (nix/README.md). None of them has been run where this was written.
{
  pkgs,
  nix-bitcoin,
  disko,
  handover,
}:
let
  example = builtins.fromJSON (builtins.readFile ../../example/settings.json);
  phone = builtins.fromJSON (builtins.readFile ./phone.json);
  settings = example // {
    place = example.place // {
      network = "regtest";
    };
    # The virtual machine brings its own disks.
    nixos = example.nixos // {
      disks.layout = "kept";
    };
    tunnel = example.tunnel // {
      peers = [
        {
          name = "phone";
          address = "10.10.0.2";
          inherit (phone) publicKey;
        }
      ];
    };
  };

  machine = {
    imports = [
      nix-bitcoin.nixosModules.default
      disko.nixosModules.default
      ../../node.nix
    ];
    virtualisation.memorySize = 2048;
    environment.systemPackages = [
      pkgs.netcat
      pkgs.wireguard-tools
    ];
  };

  test =
    name:
    { nodes, testScript }:
    pkgs.testers.runNixOSTest {
      inherit name testScript;
      # The test's driver knows machines by their host names.
      nodes = builtins.mapAttrs (hostName: module: {
        imports = [ module ];
        networking.hostName = pkgs.lib.mkForce hostName;
      }) nodes;
      node.specialArgs = {
        inherit settings;
        nixBitcoin = nix-bitcoin;
        agent = handover + "/agent.mjs";
        bunker = handover + "/bunker.mjs";
      };
    };
in
builtins.mapAttrs (name: file: test name (import file { inherit pkgs machine phone; })) {
  secrets = ./secrets.nix;
  firewall = ./firewall.nix;
  wireguard = ./wireguard.nix;
  identity = ./identity.nix;
  rollback = ./rollback.nix;
}
