# Each service in a network namespace of its own. For a node without a tunnel: the tunnel's module and that of the firewall say what excludes it.
{
  nix-bitcoin.netns-isolation.enable = true;

  # For namespaces and their rules, where the hardened presets lock the kernel's modules.
  boot.kernelModules = [
    "bridge"
    "veth"
    "nft_compat"
    "nft_chain_nat"
    "xt_comment"
    "xt_conntrack"
    "xt_MASQUERADE"
  ];
}
