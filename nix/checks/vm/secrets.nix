# A host without its bundle is up and can be reached, and nothing that needs a secret runs; with one, its files have their owners, and none is in the store.
{ machine, ... }:
{
  nodes = {
    bare = machine;
    furnished.imports = [
      machine
      ./secretsByHand.nix
    ];
  };
  testScript = ''
    bare.wait_for_unit("sshd.service")
    bare.wait_until_fails("systemctl is-active holdfast-secrets.service", timeout=60)
    bare.fail("systemctl is-active nix-bitcoin-secrets.target")
    for unit in ["bitcoind", "lnd", "wireguard-wg-node"]:
        bare.fail(f"systemctl is-active {unit}.service")

    furnished.wait_for_unit("nix-bitcoin-secrets.target", timeout=120)
    furnished.succeed("test \"$(stat --format '%U:%G %a' /etc/nix-bitcoin-secrets/lnd-wallet-password)\" = 'lnd:lnd 440'")
    furnished.succeed("test \"$(stat --format '%U %a' /etc/nix-bitcoin-secrets/wg-node-private-key)\" = 'root 440'")
    key = furnished.succeed("cat /etc/nix-bitcoin-secrets/wg-node-private-key").strip()
    furnished.fail(f"grep --recursive --fixed-strings --quiet '{key}' /run/current-system/ /etc/systemd/")
  '';
}
