# The stack's policy is what others meet: SSH answers, and a port that no rule names does not, though something listens there.
{ pkgs, machine, ... }:
{
  nodes = {
    node.imports = [
      machine
      ./secretsByHand.nix
    ];
    stranger.environment.systemPackages = [ pkgs.netcat ];
  };
  testScript = ''
    start_all()
    node.wait_for_unit("nftables.service")
    node.wait_for_unit("sshd.service")
    node.succeed("nft list table inet holdfast | grep --quiet 'policy drop'")
    node.succeed("systemd-run --unit=listener nc -lk 0.0.0.0 12345")
    node.wait_until_succeeds("nc -z -w 2 127.0.0.1 12345", timeout=30)
    stranger.wait_until_succeeds("nc -z -w 2 node 22", timeout=60)
    stranger.fail("nc -z -w 2 node 12345")
    node.succeed("nft delete table inet holdfast")
    stranger.succeed("nc -z -w 2 node 12345")
  '';
}
