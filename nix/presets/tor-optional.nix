# The clear net beside Tor, by choice: what finds others by their address speaks to them directly, and to onion addresses through Tor.
{ config, lib, ... }:
let
  inherit (lib) genAttrs mkMerge;
  inherit (config.nix-bitcoin) torClientAddressWithPort;
in
{
  services = mkMerge [
    (genAttrs
      [
        "bitcoind"
        "lnd"
        "lightning-loop"
        "clightning"
        "electrs"
        "fulcrum"
        "btcpayserver"
        "nbxplorer"
        "rtl"
        "mempool"
        "joinmarket"
        "joinmarket-ob-watcher"
        "liquidd"
      ]
      (_: {
        tor.enforce = false;
      })
    )
    {
      bitcoind = {
        tor.proxy = false;
        extraConfig = "onion=${torClientAddressWithPort}";
      };
      liquidd = {
        tor.proxy = false;
        extraConfig = "onion=${torClientAddressWithPort}";
      };
      lnd = {
        address = lib.mkDefault "0.0.0.0";
        extraConfig = "tor.skip-proxy-for-clearnet-targets=true";
      };
      clightning = {
        address = lib.mkDefault "0.0.0.0";
        always-use-proxy = false;
      };
    }
  ];
}
