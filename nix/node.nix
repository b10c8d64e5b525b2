# A node: what the stack hands over becomes modules and their options. `settings` is formats/settings.ts, `agent` and `bunker` programs, `nixBitcoin` the sources of nix-bitcoin.
{
  settings,
  agent,
  bunker,
  lib,
  ...
}:
let
  inherit (settings) lightning nixos services;
  has = service: lib.elem service services;
in
{
  imports = [
    ./disks
    ./modules/activation-watchdog
    ./modules/agent
    ./modules/backup
    ./modules/bunker
    ./modules/cln-identity
    ./modules/firewall
    ./modules/lnd-identity
    ./modules/network
    ./modules/operator
    ./modules/secrets
    ./modules/services
    ./modules/ssh
    ./modules/wireguard
  ]
  ++ import ./presets nixos;

  nix-bitcoin.configVersion = "0.0.136";
  networking.hostName = settings.place.node;
  system.stateVersion = "26.05";

  holdfast = {
    agent = {
      enable = true;
      program = agent;
      inherit settings;
    };
    disks = nixos.disks // {
      dataVolume = nixos.dataVolume or null;
    };
    secrets.enable = true;
    operator.enable = true;
    ssh.enable = true;
    activation-watchdog.enable = true;
    lnd-identity.enable = has "lnd";
    cln-identity.enable = has "clightning";
    backup.enable = has "lnd" && has "offsite-backup";

    bunker = {
      enable = has "bunker";
      bundle = bunker;
      tor.enforce = nixos.tor == "enforced";
    }
    // lib.optionalAttrs (settings ? bunker) { inherit (settings.bunker) relays admins; };

    network = {
      name = settings.place.network;
      inherit (settings.bitcoin) peers;
    };
    firewall = {
      enable = true;
      inherit (settings.firewall) ruleset;
      backend = settings.firewall.backend or "nftables";
    };
    wireguard = {
      enable = has "wireguard";
    }
    // lib.optionalAttrs (settings ? tunnel) {
      inherit (settings.tunnel)
        address
        prefixLength
        port
        peers
        ;
    };
    services = {
      # The others are modules of ours.
      enabled = lib.subtractLists [
        "wireguard"
        "offsite-backup"
        "data-volume"
        "encrypted-root"
        "bunker"
      ] services;
      inherit (nixos) published;
      inherit (lightning) alias restPort;
      lightningPort = lightning.p2pPort;
      clightningPort = lightning.clightningPort or 9736;
    };
  };
}
