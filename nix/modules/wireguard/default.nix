# The node's end of its tunnels: any number of peers, each of which reaches the node and nothing behind it.
{ config, lib, ... }:
let
  inherit (lib)
    mkEnableOption
    mkIf
    mkMerge
    mkOption
    types
    ;
  cfg = config.holdfast.wireguard;
  inherit (config.services) lnd;
  interface = "wg-node";
  unit = "wireguard-${interface}.service";
  secretsTarget = "nix-bitcoin-secrets.target";
  secret = name: "${config.nix-bitcoin.secretsDir}/${name}";
  rootsOwn = {
    user = "root";
    permissions = "400";
  };
in
{
  options.holdfast.wireguard = {
    enable = mkEnableOption "WireGuard tunnels to the node";
    address = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "10.10.0.1";
      description = "The node's address inside the tunnels.";
    };
    prefixLength = mkOption {
      type = types.ints.between 8 30;
      default = 24;
      description = "Of the network that node and peers share.";
    };
    network = mkOption {
      type = types.nullOr types.str;
      readOnly = true;
      default = if cfg.address == null then null else "${cfg.address}/${toString cfg.prefixLength}";
      description = "The tunnels' network, written with the node's own address.";
    };
    port = mkOption {
      type = types.port;
      default = 51820;
      description = "UDP port on which the node listens.";
    };
    peers = mkOption {
      default = [ ];
      description = "Who may connect. Public keys are no secret; each peer's preshared key comes in the bundle.";
      type = types.listOf (
        types.submodule (
          { config, ... }:
          {
            options = {
              name = mkOption {
                type = types.str;
                description = "Names the peer's unit: `wireguard-wg-node-peer-<name>`.";
              };
              publicKey = mkOption {
                type = types.str;
                description = "As `wg pubkey` prints it.";
              };
              address = mkOption {
                type = types.nullOr types.str;
                default = null;
                description = "The peer's address inside the tunnels. Without one its keys must still prove themselves: it makes a handshake, and what it sends is dropped.";
              };
              presharedKey = mkOption {
                type = types.str;
                default = "wg-psk-${config.name}";
                description = "The preshared key's file in the secrets directory.";
              };
            };
          }
        )
      );
    };
  };

  config = mkIf cfg.enable (mkMerge [
    {
      assertions = [
        {
          assertion = cfg.address != null;
          message = ''
            holdfast.wireguard is on, and has no address inside the tunnels: the settings name the service wireguard and no tunnel.
            Let the stack write both (a `tunnel` in the stack file), or neither (`tunnel: none`).
          '';
        }
        {
          assertion = !config.nix-bitcoin.netns-isolation.enable;
          message = ''
            holdfast.wireguard and nix-bitcoin.netns-isolation are both on, and the namespaces would hide every service from the tunnels.
            Turn one of them off in the stack file: `isolation: none` keeps the tunnels, `tunnel: none` the namespaces.
          '';
        }
      ];

      networking.wireguard.interfaces.${interface} = {
        ips = lib.optional (cfg.network != null) cfg.network;
        listenPort = cfg.port;
        privateKeyFile = secret "wg-node-private-key";
        # The interface's own network holds every peer.
        allowedIPsAsRoutes = false;
        peers = map (peer: {
          inherit (peer) name publicKey;
          presharedKeyFile = secret peer.presharedKey;
          allowedIPs = lib.optional (peer.address != null) "${peer.address}/32";
        }) cfg.peers;
      };

      nix-bitcoin.secrets = {
        wg-node-private-key = rootsOwn;
      }
      // builtins.listToAttrs (map (peer: lib.nameValuePair peer.presharedKey rootsOwn) cfg.peers);

      # The tunnel carries nothing before its keys are there.
      systemd.services."wireguard-${interface}" = {
        requires = [ secretsTarget ];
        after = [ secretsTarget ];
      };
    }

    # LND's REST answers in the tunnel beside loopback. Tor stays enforced: the tunnels' network is all that is added to what LND may speak to.
    (mkIf lnd.enable {
      services.lnd.extraConfig = "restlisten=${toString cfg.address}:${toString lnd.restPort}";
      systemd.services.lnd = {
        after = [ unit ];
        serviceConfig.IPAddressAllow = lib.optional (cfg.network != null) cfg.network;
      };
    })
  ]);
}
