# What stands in for nixpkgs' lib here: derivations made of shell commands and of text, and units from Nix data.
{ platform }:
let
  # A store path made by a few commands of the machine's own shell.
  run =
    name: commands: environment:
    derivation (
      {
        inherit name;
        system = platform;
        builder = "/bin/sh";
        args = [
          "-euc"
          commands
        ];
        PATH = "/usr/bin";
        preferLocalBuild = true;
      }
      // environment
    );

  write =
    name: content:
    run name ''cp "$contentPath" "$out"'' {
      inherit content;
      passAsFile = [ "content" ];
    };

  # A bash script; `bash -n` has read it before it can become part of a system.
  script =
    name: commands:
    run name ''bash -n "$contentPath"; cp "$contentPath" "$out"; chmod 555 "$out"'' {
      content = ''
        #!/usr/bin/bash
        set -euo pipefail
        export PATH=/usr/sbin:/usr/bin
        ${commands}
      '';
      passAsFile = [ "content" ];
    };

  lines = builtins.concatStringsSep "\n";

  quote = value: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString value)}'";

  # As systemd writes it: a list is the key again and again.
  setting =
    key: value:
    if builtins.isList value then
      lines (map (setting key) value)
    else if builtins.isBool value then
      "${key}=${if value then "true" else "false"}"
    else
      "${key}=${toString value}";

  # { Unit.After = [ … ]; Service.ExecStart = …; wantedBy = [ … ]; }; wantedBy and requiredBy become links beside the unit.
  unit =
    name: data:
    let
      sections = removeAttrs data [
        "wantedBy"
        "requiredBy"
      ];
      section =
        key: "[${key}]\n${lines (builtins.attrValues (builtins.mapAttrs setting sections.${key}))}\n";
    in
    write name (
      lines (
        map section (
          builtins.filter (key: sections ? ${key}) [
            "Unit"
            "Socket"
            "Service"
          ]
        )
      )
    );

  # What nix-bitcoin gives every service, less what a machine in a namespace cannot have.
  hardening = {
    NoNewPrivileges = true;
    ProtectSystem = "strict";
    ProtectHome = true;
    PrivateTmp = true;
    PrivateDevices = true;
    ProtectClock = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    ProtectKernelTunables = true;
    ProtectControlGroups = true;
    ProtectProc = "invisible";
    # Netlink: btcd and LND ask for the interfaces.
    RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    RemoveIPC = true;
    LockPersonality = true;
    SystemCallArchitectures = "native";
  };
in
{
  inherit
    run
    write
    script
    lines
    quote
    unit
    hardening
    ;
}
