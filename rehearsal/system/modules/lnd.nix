# LND twice on one wallet, never at once: as the node, and closed to everyone but the gate while that makes or restores the wallet.
{
  settings,
  text,
  programs,
  layout,
  ...
}:
let
  inherit (settings) lightning;
  rest = toString lightning.restPort;
  wallet = "${layout.lnd}/data/chain/bitcoin/regtest/wallet.db";

  configure =
    name: options:
    text.script "configure-${name}" ''
      umask 077
      password=$(< "$CREDENTIALS_DIRECTORY/rpc-password")
      cat > /run/lnd/lnd.conf <<END
      [Application Options]
      datadir=${layout.lnd}/data
      logdir=${layout.lnd}/logs
      ${text.lines options}
      rpclisten=127.0.0.1:10009
      restlisten=127.0.0.1:${rest}
      tlscertpath=$CREDENTIALS_DIRECTORY/lnd-cert
      tlskeypath=$CREDENTIALS_DIRECTORY/lnd-key
      [Bitcoin]
      bitcoin.regtest=1
      bitcoin.node=btcd
      [Btcd]
      btcd.rpchost=127.0.0.1:18334
      btcd.rpccert=/var/lib/btcd/rpc.cert
      btcd.rpcuser=${settings.bitcoin.rpcUser}
      btcd.rpcpass=$password
      END
    '';

  credential = name: file: "${name}:${layout.secrets}/${file}";

  service = text.hardening // {
    Type = "notify";
    TimeoutStartSec = "infinity";
    TimeoutStopSec = 120;
    User = "lnd";
    LoadCredential = [
      (credential "rpc-password" "bitcoin-rpcpassword-privileged")
      (credential "lnd-cert" "lnd-cert")
      (credential "lnd-key" "lnd-key")
    ];
    # Without --lnddir, which would move the certificate's path too.
    ExecStart = "${programs.lnd}/bin/lnd --configfile=/run/lnd/lnd.conf";
    Environment = "HOME=${layout.lnd}";
    StateDirectory = "lnd";
    StateDirectoryMode = "0750";
    RuntimeDirectory = "lnd";
    RuntimeDirectoryMode = "0700";
    CapabilityBoundingSet = "";
  };

  unit = {
    Requires = [ layout.secretsTarget ];
    # Wants, not Requires: a restarted btcd must not restart what only the gate may start.
    Wants = [ "bitcoind.service" ];
    X-OnlyManualStart = true;
  };
in
{
  "lnd.service" = {
    Unit = unit // {
      Description = "Lightning node (LND)";
      After = [
        layout.secretsTarget
        "bitcoind.service"
        "lnd-unopened.service"
      ]
      ++ (if settings ? tunnel then [ "wireguard-wg-node.service" ] else [ ]);
      Conflicts = [ "lnd-unopened.service" ];
      PartOf = [ layout.identityTarget ];
    };
    Service = service // {
      LoadCredential = service.LoadCredential ++ [
        (credential "lnd-wallet-password" "lnd-wallet-password")
      ];
      ExecStartPre = [
        (text.script "require-wallet" ''
          [[ -e ${wallet} ]] || {
            echo "There is no wallet at ${wallet}, and LND does not make one: the gate alone does. 'holdfast-agent gate-report' tells where it stands." >&2
            exit 1
          }
        '')
        (configure "lnd" (
          [
            "alias=${builtins.toJSON lightning.alias}"
            "listen=0.0.0.0:${toString lightning.p2pPort}"
            "wallet-unlock-password-file=$CREDENTIALS_DIRECTORY/lnd-wallet-password"
          ]
          ++ (if settings ? tunnel then [ "restlisten=${settings.tunnel.address}:${rest}" ] else [ ])
        ))
      ];
      Restart = "on-failure";
      RestartSec = 5;
    };
    wantedBy = [ layout.identityTarget ];
  };

  "lnd-unopened.service" = {
    Unit = unit // {
      Description = "LND for the gate: its wallet locked, on loopback, without peers";
      After = [
        layout.secretsTarget
        "bitcoind.service"
      ];
    };
    Service = service // {
      ExecStartPre = configure "lnd-unopened" [ "nolisten=true" ];
    };
  };
}
