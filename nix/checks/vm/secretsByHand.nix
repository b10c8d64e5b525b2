# Secrets without a bundle: what the agent would install, made on the machine, for tests of what comes after it.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  phone = builtins.fromJSON (builtins.readFile ./phone.json);
  making =
    name:
    if name == "wg-node-private-key" then
      "wg genkey"
    else if name == "wg-psk-phone" then
      "echo ${phone.presharedKey}"
    else
      "openssl rand -hex 20";
in
{
  systemd.services.holdfast-secrets = {
    path = [
      pkgs.openssl
      pkgs.wireguard-tools
    ];
    serviceConfig.ExecStart = lib.mkForce (
      pkgs.writeShellScript "secrets-by-hand" ''
        set -eu
        umask 077
        mkdir -p -m 751 ${config.nix-bitcoin.secretsDir}
        cd ${config.nix-bitcoin.secretsDir}
        ${lib.concatStrings (
          lib.mapAttrsToList (name: secret: ''
            ${making name} > ${name}
            chown ${secret.user}:${secret.group} ${name}
            chmod ${secret.permissions} ${name}
          '') config.nix-bitcoin.secrets
        )}
      ''
    );
  };
}
