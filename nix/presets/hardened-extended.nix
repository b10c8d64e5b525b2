# hardened, and nix-bitcoin's hardened-extended: kernel lockdown, fewer drivers, usbguard.
{ nixBitcoin, ... }:
{
  imports = [
    ./secure-node.nix
    ./modules-at-boot.nix
    (nixBitcoin + "/modules/presets/hardened-extended.nix")
  ];
}
