# The chain backend: regtest, whose blocks come from the peers that the settings name.
{
  settings,
  text,
  programs,
  layout,
  ...
}:
let
  peers = builtins.genList (index: {
    name = "btcd-peer-${toString index}";
    address = builtins.elemAt settings.bitcoin.peers index;
    here = "127.0.0.1:${toString (18500 + index)}";
  }) (builtins.length settings.bitcoin.peers);

  # btcd takes regtest blocks from peers on loopback alone, so each peer gets a door there.
  door = peer: {
    "${peer.name}.socket" = {
      Unit.Description = "Loopback's door to the Bitcoin peer ${toString peer.address}";
      Socket.ListenStream = peer.here;
      wantedBy = [ "multi-user.target" ];
    };
    "${peer.name}.service" = {
      Unit = {
        Description = "Carry btcd's connection to ${toString peer.address}";
        Requires = [ "${peer.name}.socket" ];
        After = [ "${peer.name}.socket" ];
      };
      Service = text.hardening // {
        DynamicUser = true;
        ExecStart = "/usr/lib/systemd/systemd-socket-proxyd ${peer.address}";
      };
    };
  };

  configure = text.script "configure-btcd" ''
    umask 077
    # btcd throws its regtest chain away at every start, and goes on with it when it cannot: removing wants to list the folder above, and using it does not.
    mkdir -p /var/lib/btcd/data/regtest
    chmod 0300 /var/lib/btcd/data/regtest

    password=$(< "$CREDENTIALS_DIRECTORY/rpc-password")
    cat > /run/btcd/btcd.conf <<END
    [Application Options]
    regtest=1
    datadir=/var/lib/btcd/data
    logdir=/var/lib/btcd/logs
    txindex=1
    nolisten=1
    ${text.lines (map (peer: "connect=${peer.here}") peers)}
    rpclisten=127.0.0.1:18334
    rpccert=/var/lib/btcd/rpc.cert
    rpckey=/var/lib/btcd/rpc.key
    rpcuser=${settings.bitcoin.rpcUser}
    rpcpass=$password
    END
  '';
in
builtins.foldl' (all: peer: all // door peer) { } peers
// {
  "bitcoind.service" = {
    Unit = {
      Description = "Bitcoin node (btcd, regtest)";
      Requires = [ layout.secretsTarget ];
      After = [
        "network.target"
        layout.secretsTarget
      ]
      ++ map (peer: "${peer.name}.socket") peers;
      Wants = map (peer: "${peer.name}.socket") peers;
    };
    Service = text.hardening // {
      User = "bitcoin";
      LoadCredential = "rpc-password:${layout.secrets}/bitcoin-rpcpassword-privileged";
      ExecStartPre = configure;
      ExecStart = "${programs.btcd}/bin/btcd --configfile=/run/btcd/btcd.conf";
      Restart = "on-failure";
      RestartSec = 5;
      TimeoutStopSec = 60;
      # LND reads the certificate.
      StateDirectory = "btcd";
      StateDirectoryMode = "0755";
      RuntimeDirectory = "btcd";
      RuntimeDirectoryMode = "0700";
      CapabilityBoundingSet = "";
    };
    wantedBy = [ "multi-user.target" ];
  };
}
