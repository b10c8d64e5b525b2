# The host's firewall is what the stack made from its policy: for nftables one table, `inet holdfast`, replaced as a whole; for iptables, which nix-bitcoin's network namespaces
# want, rules of NixOS's own chain.
{ config, lib, ... }:
let
  inherit (lib)
    mkEnableOption
    mkForce
    mkIf
    mkMerge
    mkOption
    types
    ;
  cfg = config.holdfast.firewall;
  inherit (config.networking) firewall;
  table = "inet holdfast";
  bridge = "nb-br";

  rules = lib.filter (line: line != "") (lib.splitString "\n" cfg.ruleset);
  programs = "iptables" + lib.optionalString config.networking.enableIPv6 " ip6tables";
  # NixOS runs them after its own rules of `nixos-fw`, and before the last one, which drops the rest; at every start and reload.
  openPolicy = lib.concatMapStrings (rule: "ip46tables ${rule}\n") rules + ''
    for program in ${programs}; do
      "$program" -w -N holdfast-forward 2> /dev/null || "$program" -w -F holdfast-forward
      "$program" -w -A holdfast-forward -i ${bridge} -j RETURN
      "$program" -w -A holdfast-forward -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
      "$program" -w -A holdfast-forward -j DROP
      "$program" -w -C FORWARD -j holdfast-forward 2> /dev/null || "$program" -w -I FORWARD -j holdfast-forward
    done
  '';
in
{
  options.holdfast.firewall = {
    enable = mkEnableOption "the firewall that the stack's policy describes";
    backend = mkOption {
      type = types.enum [
        "nftables"
        "iptables"
      ];
      default = "nftables";
      description = "What loads the ruleset. `iptables`: NixOS's own firewall, for nix-bitcoin's network namespaces.";
    };
    ruleset = mkOption {
      type = types.lines;
      description = "For nftables as nft(8) reads it, for iptables rules of `nixos-fw`, one a line. Its comment is the policy's digest, by which a probe knows that it is loaded.";
    };
  };

  config = mkIf cfg.enable (mkMerge [
    {
      assertions = [
        {
          assertion = !(config.networking.nftables.enable && config.nix-bitcoin.netns-isolation.enable);
          message = ''
            ${
              if cfg.backend == "nftables" then "holdfast.firewall (nftables)" else "networking.nftables.enable"
            } and nix-bitcoin.netns-isolation are both on: the namespaces' scripts call iptables, and their rules would do nothing beside nftables.
            Turn one of them off: ${
              if cfg.backend == "nftables" then
                "`isolation: none` in the stack file keeps nftables, `tunnel: none` beside `isolation: netns` brings a firewall of iptables."
              else
                "leave networking.nftables.enable alone, for the stack's policy is in NixOS's firewall of iptables."
            }
          '';
        }
      ];
    }

    (mkIf (cfg.backend == "nftables") {
      assertions = [
        {
          assertion = firewall.extraCommands == "" && firewall.extraStopCommands == "";
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
    })

    (mkIf (cfg.backend == "iptables") {
      assertions = [
        {
          assertion = firewall.extraCommands == openPolicy;
          message = ''
            networking.firewall.extraCommands has more than the stack's policy: the agent would not take the firewall for proven, or it would be another one.
            Give the service a rule in the stack's policy (components/network/policy.ts) instead.
          '';
        }
        {
          assertion = lib.all (name: name == bridge) (lib.attrNames firewall.interfaces);
          message = ''
            networking.firewall.interfaces opens ports on ${lib.concatStringsSep ", " (lib.remove bridge (lib.attrNames firewall.interfaces))}, of which the stack's policy knows nothing.
            Give the service a rule in the stack's policy (components/network/policy.ts) instead.
          '';
        }
      ];

      # What is not in the policy is dropped, whatever other modules open. From the namespaces Tor alone is reached, on the bridge.
      networking.firewall = {
        enable = mkForce true;
        allowedTCPPorts = mkForce [ ];
        allowedUDPPorts = mkForce [ ];
        allowedTCPPortRanges = mkForce [ ];
        allowedUDPPortRanges = mkForce [ ];
        trustedInterfaces = mkForce [ "lo" ];
        allowPing = mkForce false;
        rejectPackets = mkForce false;
        checkReversePath = mkForce true;
        extraCommands = openPolicy;
        extraStopCommands = ''
          for program in ${programs}; do
            "$program" -w -D FORWARD -j holdfast-forward 2> /dev/null || true
            "$program" -w -F holdfast-forward 2> /dev/null || true
            "$program" -w -X holdfast-forward 2> /dev/null || true
          done
        '';
      };
    })
  ]);
}
