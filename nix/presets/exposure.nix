# What is for this host alone listens here alone. A firewall rule is the second line, and must not become the only one.
{ config, lib, ... }:
let
  inherit (config) services;
  tunnel = config.holdfast.wireguard;
  isolated = config.nix-bitcoin.netns-isolation.enable;

  isLocal =
    address:
    address == "127.0.0.1"
    || address == "::1"
    || address == "localhost"
    # nix-bitcoin's namespaces.
    || isolated && lib.hasPrefix "169.254." address;
  isInside = address: isLocal address || tunnel.enable && address == tunnel.address;

  mustBe = remedy: fits: option: on: address: {
    assertion = on -> fits address;
    message = ''
      ${option} is ${address}, which others than this host reach: whoever speaks to it owns the node.
      ${remedy}
    '';
  };
  local = mustBe "Leave it at 127.0.0.1, and reach it over SSH." isLocal;
  page = mustBe "Leave it at 127.0.0.1, or name the service in nixos.published in the stack file: then it answers inside the tunnels." isInside;
in
{
  assertions = [
    (local "services.bitcoind.rpc.address" services.bitcoind.enable services.bitcoind.rpc.address)
    (local "services.lnd.rpcAddress" services.lnd.enable services.lnd.rpcAddress)
    (mustBe "Leave it at 127.0.0.1: inside the tunnels REST has a listener of its own." isLocal
      "services.lnd.restAddress"
      services.lnd.enable
      services.lnd.restAddress
    )
    (local "services.lightning-loop.rpcAddress" services.lightning-loop.enable
      services.lightning-loop.rpcAddress
    )
    (local "services.lightning-loop.restAddress" services.lightning-loop.enable
      services.lightning-loop.restAddress
    )
    (local "services.clightning.plugins.clnrest.address" (
      services.clightning.enable && services.clightning.plugins.clnrest.enable
    ) services.clightning.plugins.clnrest.address)
    (local "services.joinmarket-ob-watcher.address" services.joinmarket-ob-watcher.enable
      services.joinmarket-ob-watcher.address
    )
    (local "services.electrs.address" services.electrs.enable services.electrs.address)
    (local "services.fulcrum.address" services.fulcrum.enable services.fulcrum.address)
    (local "services.nbxplorer.address" services.nbxplorer.enable services.nbxplorer.address)
    (local "services.liquidd.rpc.address" services.liquidd.enable services.liquidd.rpc.address)
    (page "services.btcpayserver.address" services.btcpayserver.enable services.btcpayserver.address)
    (page "services.rtl.address" services.rtl.enable services.rtl.address)
    (page "services.mempool.frontend.address" (
      services.mempool.enable && services.mempool.frontend.enable
    ) services.mempool.frontend.address)
    (local "services.mempool.address" services.mempool.enable services.mempool.address)
    {
      assertion = isolated || builtins.all (lib.hasPrefix "127.") services.bitcoind.rpc.allowip;
      message = ''
        services.bitcoind.rpc.allowip lets ${lib.concatStringsSep ", " services.bitcoind.rpc.allowip} speak to bitcoind's RPC: others than this host.
        Leave it at 127.0.0.1, and reach it over SSH.
      '';
    }
  ];
}
