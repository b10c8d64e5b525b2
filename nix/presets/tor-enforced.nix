# Services reach the world through Tor alone: nix-bitcoin's default, and an assertion where something undoes it.
{ config, lib, ... }:
let
  inherit (lib) attrByPath filter;

  enforcing = [
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
  ];
  isOn = service: config.services.${service}.enable;
  leaking = filter (service: isOn service && !config.services.${service}.tor.enforce) enforcing;
  isLoopback =
    address: address == "127.0.0.1" || address == "::1" || lib.hasPrefix "169.254." address;
  listening = filter (service: isOn service && !isLoopback config.services.${service}.address) [
    "bitcoind"
    "lnd"
    "clightning"
    "liquidd"
  ];
  announcing =
    filter
      (
        service:
        isOn service
        && config.services.${service}.getPublicAddressCmd != ""
        && !attrByPath [ service "public" ] false config.nix-bitcoin.onionServices
        && !builtins.any ({ kind, name, ... }: kind == "onion-key" && name == service) (
          config.holdfast.agent.settings.identities or [ ]
        )
      )
      [
        "bitcoind"
        "lnd"
        "clightning"
      ];
  names = lib.concatStringsSep ", ";
in
{
  # nix-bitcoin leaves BTCPay out, for its exchange rates come from the clear net.
  services.btcpayserver.tor.enforce = lib.mkDefault true;

  assertions = [
    {
      assertion = leaking == [ ];
      message = ''
        Tor is enforced (nixos.tor), and tor.enforce is off for ${names leaking}: it would speak on the clear net under the node's own address.
        Take that setting out, or write `tor: optional` in the stack file if the clear net is meant.
      '';
    }
    {
      assertion = listening == [ ];
      message = ''
        Tor is enforced (nixos.tor), and ${names listening} would listen on an address of the clear net, where systemd lets nothing through and everybody sees the port.
        Leave the address at 127.0.0.1, or write `tor: optional` in the stack file if the clear net is meant.
      '';
    }
    {
      assertion = announcing == [ ];
      message = ''
        Tor is enforced (nixos.tor), and getPublicAddressCmd of ${names announcing} would tell everybody the node's address.
        Announce an onion address instead, by an onion key of the service's name among the node's identities, or write `tor: optional` in the stack file.
      '';
    }
  ];
}
