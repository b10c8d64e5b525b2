# The agent's watch: channel.backup and the manifest go off-site whenever they change.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  cfg = config.holdfast.backup;
  inherit (config.holdfast) agent;
  layout = import ../agent/layout.nix;
  confinement = import ../agent/confinement.nix { inherit layout; };
in
{
  options.holdfast.backup.enable = lib.mkEnableOption "the off-site backup of LND's channels and of the manifest";

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = config.services.lnd.enable && agent.enable;
        message = ''
          holdfast.backup sends LND's channel.backup off-site, and ${
            if agent.enable then "LND is" else "the agent is"
          } not on this node.
          Put ${
            if agent.enable then "lnd among the node's services" else "holdfast.agent.enable = true"
          }, or turn holdfast.backup off.
        '';
      }
    ];

    holdfast.agent.identityUnits = [ "holdfast-backup" ];

    systemd.services.holdfast-backup = {
      description = "Holdfast: carry channel.backup and the manifest off-site";
      after = [
        "lnd.service"
        layout.secretsTarget
      ];
      requires = [ layout.secretsTarget ];
      path = [ pkgs.restic ];
      # A switch leaves it alone, and a commit restarts identity daemons whose unit has changed: another store is a change.
      restartTriggers = [
        (builtins.hashString "sha256" (
          builtins.toJSON { inherit (agent.settings) backup lightning place; }
        ))
      ];
      serviceConfig = confinement.backup // {
        ExecStart = "${agent.package}/bin/holdfast-agent backup-watch";
      };
    };
  };
}
