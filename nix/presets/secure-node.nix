# nix-bitcoin's secure-node, and what it leaves to the firewall alone: who listens where.
{ nixBitcoin, ... }:
{
  imports = [
    (nixBitcoin + "/modules/presets/secure-node.nix")
    ./exposure.nix
  ];
}
