# The agent writes the bundle's files; whoever reads one of them requires the target and comes after it, as with nix-bitcoin.
{ text, programs, layout, ... }:
{
  "holdfast-secrets.service" = {
    Unit = {
      Description = "Holdfast: install the secrets of this host's bundle";
      After = [ "local-fs.target" ];
      Before = [ layout.secretsTarget ];
      # A restart would take every consumer down with it; the agent itself restarts whose secrets have changed.
      X-RestartIfChanged = false;
    };
    Service = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = "${programs.agent}/bin/holdfast-agent install-secrets";
      NoNewPrivileges = true;
      ProtectHome = true;
      PrivateTmp = true;
      StandardInput = "null";
    };
    requiredBy = [ layout.secretsTarget ];
  };

  ${layout.secretsTarget} = {
    Unit.Description = "The secrets of this host are in place";
    wantedBy = [ "multi-user.target" ];
  };
}
