# What makes this machine the node. A switch starts and restarts none of it (X-OnlyManualStart): the gate opens the target, at boot and after a commit.
{ text, programs, layout, ... }:
let
  agentService = {
    NoNewPrivileges = true;
    ProtectSystem = "strict";
    ReadWritePaths = [ layout.state "/run/holdfast" "-${layout.lnd}" ];
    ProtectHome = true;
    PrivateTmp = true;
    PrivateDevices = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectControlGroups = true;
    LockPersonality = true;
    RestrictRealtime = true;
    # For restic, which wants a home.
    CacheDirectory = "holdfast";
    Environment = "XDG_CACHE_HOME=/var/cache/holdfast";
    StandardInput = "null";
  };
in
{
  ${layout.identityTarget}.Unit = {
    Description = "The daemons that hold the node's identity, opened by the gate";
    X-OnlyManualStart = true;
  };

  "holdfast-gate.service" = {
    Unit = {
      Description = "Holdfast: decide whether this host may be the node";
      After = [ layout.secretsTarget "bitcoind.service" ];
      Requires = [ layout.secretsTarget ];
      Wants = [ "bitcoind.service" ];
      X-OnlyManualStart = true;
    };
    Service = agentService // {
      # It may wait for hours: a oneshot would be a job for as long, and the machine would count as starting.
      Type = "exec";
      ExecStart = "${programs.agent}/bin/holdfast-agent gate";
      # It puts identities that lie in files into their places.
      ReadWritePaths = agentService.ReadWritePaths ++ [ "-${layout.clightning}" "-${layout.bunker}" "-${layout.tor}" ];
    };
    wantedBy = [ "multi-user.target" ];
  };

  "holdfast-backup.service" = {
    Unit = {
      Description = "Holdfast: carry channel.backup and the manifest off-site";
      After = [ "lnd.service" ];
      Requires = [ layout.secretsTarget ];
      PartOf = [ layout.identityTarget ];
      X-OnlyManualStart = true;
    };
    Service = agentService // {
      ExecStart = "${programs.agent}/bin/holdfast-agent backup-watch";
      Restart = "always";
      RestartSec = 5;
    };
    wantedBy = [ layout.identityTarget ];
  };
}
