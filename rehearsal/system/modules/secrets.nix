# The agent writes the bundle's files; whoever reads one of them requires the target and comes after it, as with nix-bitcoin.
{
  programs,
  layout,
  confinement,
  ...
}:
{
  "holdfast-secrets.service" = {
    Unit = {
      Description = "Holdfast: install the secrets of this host's bundle";
      After = [ "local-fs.target" ];
      Before = [ layout.secretsTarget ];
      # A restart would take every consumer down with it; the agent itself restarts whose secrets have changed.
      X-RestartIfChanged = false;
    };
    Service = confinement.secrets // {
      ExecStart = "${programs.agent}/bin/holdfast-agent install-secrets";
    };
    requiredBy = [ layout.secretsTarget ];
  };

  ${layout.secretsTarget} = {
    Unit.Description = "The secrets of this host are in place";
    wantedBy = [ "multi-user.target" ];
  };
}
