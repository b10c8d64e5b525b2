# The options of NixOS that nix-bitcoin's modules and ours set or read, with the types that NixOS gives them. No more than is used: what is missing here is reported as undeclared.
{
  imports = [
    ./system.nix
    ./accounts.nix
    ./security.nix
    ./boot.nix
    ./systemd.nix
    ./network.nix
    ./firewall.nix
    ./wireguard.nix
    ./tor.nix
    ./openssh.nix
    ./databases.nix
    ./web.nix
    ./backups.nix
    ./services.nix
  ];
}
