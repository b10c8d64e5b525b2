# Nothing makes a wallet by itself: not at boot, and not when LND is started past the gate.
{ machine, ... }:
{
  nodes.node.imports = [
    machine
    ./secretsByHand.nix
  ];
  testScript = ''
    node.wait_for_unit("nix-bitcoin-secrets.target", timeout=120)
    node.wait_for_unit("multi-user.target", timeout=300)
    node.fail("systemctl is-active holdfast-identity.target")
    node.fail("systemctl is-active lnd.service")
    node.execute("timeout 120 systemctl start lnd.service")
    node.fail("systemctl is-active lnd.service")
    node.succeed("test -z \"$(find /var/lib/lnd -name wallet.db -o -name lnd-seed-mnemonic)\"")
  '';
}
