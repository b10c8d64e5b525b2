# What makes this machine the node. A switch starts and restarts none of it (X-OnlyManualStart): the gate opens the target, at boot and after a commit.
{
  programs,
  layout,
  confinement,
  ...
}:
{
  ${layout.identityTarget}.Unit = {
    Description = "The daemons that hold the node's identity, opened by the gate";
    X-OnlyManualStart = true;
  };

  "holdfast-gate.service" = {
    Unit = {
      Description = "Holdfast: decide whether this host may be the node";
      After = [
        layout.secretsTarget
        "bitcoind.service"
      ];
      Requires = [ layout.secretsTarget ];
      Wants = [ "bitcoind.service" ];
      X-OnlyManualStart = true;
    };
    Service = confinement.gate // {
      ExecStart = "${programs.agent}/bin/holdfast-agent gate";
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
    Service = confinement.backup // {
      ExecStart = "${programs.agent}/bin/holdfast-agent backup-watch";
    };
    wantedBy = [ layout.identityTarget ];
  };
}
