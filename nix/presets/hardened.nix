# secure-node, and nix-bitcoin's hardened: NixOS's hardened profile, less what breaks sandboxes.
{ nixBitcoin, ... }:
{
  imports = [
    ./secure-node.nix
    ./modules-at-boot.nix
    (nixBitcoin + "/modules/presets/hardened.nix")
  ];
}
