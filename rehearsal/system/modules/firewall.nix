# The ruleset is one transaction that replaces the table `inet holdfast`, so loading it once more leaves no gap.
{ settings, text, ... }:
let
  ruleset = text.write "holdfast.nft" settings.firewall.ruleset;
  load = text.script "load-firewall" ''
    nft --check --file ${ruleset}
    nft --file ${ruleset}
  '';
in
{
  "holdfast-firewall.service" = {
    Unit = {
      Description = "Holdfast: the firewall policy";
      DefaultDependencies = false;
      After = [ "local-fs.target" ];
      Before = [
        "network-pre.target"
        "shutdown.target"
      ];
      Wants = [ "network-pre.target" ];
      Conflicts = [ "shutdown.target" ];
      X-ReloadIfChanged = true;
    };
    Service = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = load;
      ExecReload = load;
      ExecStop = "/usr/sbin/nft delete table inet holdfast";
      NoNewPrivileges = true;
      ProtectSystem = "strict";
      ProtectHome = true;
      PrivateTmp = true;
      CapabilityBoundingSet = "CAP_NET_ADMIN";
    };
    wantedBy = [ "multi-user.target" ];
  };
}
