# The host's firewall is the ruleset that the stack made from its policy: one table, `inet holdfast`, replaced as a whole.
{ config, lib, ... }:
let
  inherit (lib)
    mkEnableOption
    mkForce
    mkIf
    mkOption
    types
    ;
  cfg = config.holdfast.firewall;
  table = "inet holdfast";
in
{
  options.holdfast.firewall = {
    enable = mkEnableOption "the firewall that the stack's policy describes";
    ruleset = mkOption {
      type = types.lines;
      description = "As nft(8) reads it. Its comment is the policy's digest, by which a probe knows that it is loaded.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = !config.nix-bitcoin.netns-isolation.enable;
        message = ''
          holdfast.firewall (nftables) and nix-bitcoin.netns-isolation are both on: the namespaces' scripts call iptables, and their rules would do nothing beside nftables.
          Turn one of them off: `isolation: none` in the stack file keeps the firewall.
        '';
      }
      {
        assertion = config.networking.firewall.extraCommands == "" && config.networking.firewall.extraStopCommands == "";
        message = ''
          networking.firewall.extraCommands is set, and NixOS's own firewall is off: holdfast.firewall stands in its place.
          Give the service a rule in the stack's policy (components/network/policy.ts) instead.
        '';
      }
    ];

    networking.nftables = {
      enable = true;
      inherit (cfg) ruleset;
      # Another program's tables stay what they are.
      flushRuleset = false;
      extraDeletions = ''
        table ${table}
        delete table ${table}
      '';
    };

    # Two firewalls would each have to accept a packet. secure-node turns this one on without mkDefault.
    networking.firewall.enable = mkForce false;
  };
}
