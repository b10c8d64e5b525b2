# The agent writes the secrets; nix-bitcoin neither makes nor owns any. Whoever reads one starts after they are in place, and not without them.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.holdfast.secrets;
  inherit (config.holdfast) agent;
  nb = config.nix-bitcoin;
  layout = import ../agent/layout.nix;
  confinement = import ../agent/confinement.nix { inherit layout; };

  # What a bundle brings to a node of these services.
  given = lib.listToAttrs (
    map (secret: lib.nameValuePair secret.file secret) (
      lib.filter ({ services, ... }: lib.intersectLists services cfg.services != [ ]) cfg.registry
    )
  );
  ofTunnel = name: lib.hasPrefix "wg-psk-" name && lib.elem "wireguard" cfg.services;

  lacking = lib.filter (name: !(given ? ${name} || ofTunnel name)) (lib.attrNames nb.secrets);
  otherOwner = lib.filter (
    name:
    given ? ${name}
    && (
      given.${name}.owner != nb.secrets.${name}.user || given.${name}.group != nb.secrets.${name}.group
    )
  ) (lib.attrNames nb.secrets);
  ownerless = lib.filter (
    { owner, group, ... }: !(config.users.users ? ${owner} && config.users.groups ? ${group})
  ) (lib.attrValues given);

  # Systemd services that read a secret, and when they are there. test/unit/nix/secrets.test.ts holds them against the registry's consumers.
  readers = with config.services; {
    bitcoind = bitcoind.enable;
    lnd = lnd.enable;
    lightning-loop = lightning-loop.enable;
    clightning = clightning.enable;
    clightning-replication-mounts =
      clightning.enable
      && clightning.replication.enable
      && (clightning.replication.encrypt || clightning.replication.sshfs.destination != null);
    electrs = electrs.enable;
    fulcrum = fulcrum.enable;
    nbxplorer = btcpayserver.enable;
    btcpayserver = btcpayserver.enable;
    rtl = rtl.enable;
    mempool = mempool.enable;
    joinmarket = joinmarket.enable;
    joinmarket-ob-watcher = joinmarket-ob-watcher.enable;
    liquidd = liquidd.enable;
    duplicity = backups.enable;
  };
in
{
  options.holdfast.secrets = {
    enable = lib.mkEnableOption "secrets from the stack's bundle, in place of those that nix-bitcoin generates";
    services = mkOption {
      type = types.listOf types.str;
      default = agent.settings.services;
      defaultText = lib.literalExpression "config.holdfast.agent.settings.services";
      description = "Services of formats/services.ts that are on the node: they decide what the bundle brings.";
    };
    registry = mkOption {
      type = types.listOf (types.attrsOf types.anything);
      internal = true;
      default = builtins.fromJSON (builtins.readFile ./registry.json);
      description = "Files that bundles bring: name, owner, group, services. Made from components/secrets/registry.ts.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = !nb.generateSecrets && !nb.setupSecrets;
        message = ''
          holdfast.secrets brings the secrets, and nix-bitcoin.${
            if nb.generateSecrets then "generateSecrets" else "setupSecrets"
          } would make or change them beside it.
          Leave nix-bitcoin.generateSecrets and nix-bitcoin.setupSecrets off, and import none of nix-bitcoin's deployment modules.
        '';
      }
      {
        assertion = nb.secretsDir == layout.secrets;
        message = ''
          The agent puts secrets into ${layout.secrets}, and nix-bitcoin.secretsDir is ${nb.secretsDir}.
          Take nix-bitcoin.secretsDir out of the configuration.
        '';
      }
      {
        assertion = lacking == [ ];
        message = ''
          nix-bitcoin wants secrets that the bundle of this node does not bring: ${lib.concatStringsSep ", " lacking}.
          Name their service among the node's `services` in the stack's configuration, or add them to the registry of secrets (components/secrets/registry/) and to nix/modules/secrets/registry.json.
        '';
      }
      {
        assertion = otherOwner == [ ];
        message = ''
          The bundle and nix-bitcoin give these secrets to different owners: ${
            lib.concatMapStringsSep ", " (
              name:
              "${name} (bundle: ${given.${name}.owner}:${given.${name}.group}, nix-bitcoin: ${nb.secrets.${name}.user}:${nb.secrets.${name}.group})"
            ) otherOwner
          }.
          Leave `user` and `group` of nix-bitcoin's services as they are by default, or change the registry of secrets.
        '';
      }
      {
        assertion = ownerless == [ ];
        message = ''
          Secrets of this node belong to users or groups that its configuration does not make: ${
            lib.concatMapStringsSep ", " (
              {
                file,
                owner,
                group,
                ...
              }:
              "${file} (${owner}:${group})"
            ) ownerless
          }. The agent would refuse the whole bundle.
          Switch their service on in the configuration as well, or take it from the node's `services` in the stack's configuration.
        '';
      }
      {
        assertion =
          !(config.systemd.sysusers.enable or false)
          && !(config.services.userborn.enable or false)
          && !(config.system.etc.overlay.enable or false);
        message = ''
          systemd.sysusers, services.userborn or system.etc.overlay is on: users or /etc would only be there after the moment at which the agent places a new system's secrets.
          Turn them off.
        '';
      }
    ];

    nix-bitcoin.secretsDir = layout.secrets;
    # A name of ours: "manual" would leave the target out of the boot.
    nix-bitcoin.secretsSetupMethod = lib.mkForce "holdfast";

    systemd.services =
      lib.genAttrs (lib.attrNames (lib.filterAttrs (_: isThere: isThere) readers)) (_: {
        requires = [ layout.secretsTarget ];
        after = [ layout.secretsTarget ];
      })
      // {
        holdfast-secrets = {
          description = "Holdfast: install the secrets of this host's bundle";
          after = [
            "local-fs.target"
            "systemd-tmpfiles-setup.service"
          ];
          before = [ layout.secretsTarget ];
          requiredBy = [ layout.secretsTarget ];
          # A restart would take every consumer down with it; the agent itself restarts whose secrets have changed.
          restartIfChanged = false;
          unitConfig.RequiresMountsFor = [ layout.state ];
          serviceConfig = confinement.secrets // {
            ExecStart = "${agent.package}/bin/holdfast-agent install-secrets";
          };
        };
      };
  };
}
