# The hardened profile locks the kernel's modules once the system is up: what a later activation may need is loaded by then.
{
  boot.kernelModules = [
    "wireguard"
    "nf_tables"
    "nft_ct"
    "dm_crypt"
  ];
}
