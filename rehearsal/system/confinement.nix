# How the agent's units are confined: plain data. rehearsal/system/confinement.nix is the same file, since each flake reaches its host alone; test/unit/nix/parity.test.ts holds the two together.
{ layout }:
let
  every = {
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
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    LockPersonality = true;
    SystemCallArchitectures = "native";
    StandardInput = "null";
  };
  longRunning = every // {
    ReadWritePaths = [
      layout.state
      "/run/holdfast"
      "-${layout.lnd}"
    ];
    RestrictAddressFamilies = "AF_UNIX AF_INET AF_INET6 AF_NETLINK";
    # For restic, which wants a home.
    CacheDirectory = "holdfast";
    Environment = "XDG_CACHE_HOME=/var/cache/holdfast";
  };
in
{
  inherit longRunning;

  gate = longRunning // {
    # It may wait for hours: a oneshot would be a job for as long, and the machine would count as starting.
    Type = "exec";
    # It puts identities that lie in files into their places.
    ReadWritePaths = longRunning.ReadWritePaths ++ [
      "-${layout.clightning}"
      "-${layout.bunker}"
      "-${layout.tor}"
    ];
  };

  backup = longRunning // {
    Restart = "always";
    RestartSec = 5;
  };

  secrets = every // {
    Type = "oneshot";
    RemainAfterExit = true;
    ReadWritePaths = [
      "/etc"
      layout.state
      "/run/holdfast"
    ];
    # It asks systemd for restarts, and nobody else for anything.
    RestrictAddressFamilies = "AF_UNIX";
  };
}
