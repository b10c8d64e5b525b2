# Each service in a network namespace of its own. Excludes the tunnels and our firewall, which say so themselves.
{
  nix-bitcoin.netns-isolation.enable = true;
}
