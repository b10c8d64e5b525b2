# OpenSSH: keys alone, and the one host key that the stack pins. Whose keys, the module `operator` says.
{ config, lib, ... }:
let
  cfg = config.holdfast.ssh;
  inherit (config.nix-bitcoin) operator;
in
{
  options.holdfast.ssh.enable = lib.mkEnableOption "OpenSSH by keys alone, under the host key that the stack pins";

  config = lib.mkIf cfg.enable {
    services.openssh = {
      enable = true;
      ports = [ 22 ];
      # The stack's policy says from where it answers.
      openFirewall = false;
      # The host has this key before NixOS runs on it: no other one is ever made or shown.
      hostKeys = [
        {
          path = "/etc/ssh/ssh_host_ed25519_key";
          type = "ed25519";
        }
      ];
      settings = {
        PermitRootLogin = "prohibit-password";
        AllowUsers = [ "root" ] ++ lib.optional operator.enable operator.name;
        AuthenticationMethods = "publickey";
        PasswordAuthentication = false;
        KbdInteractiveAuthentication = false;
        X11Forwarding = false;
        UseDns = false;
      };
    };
  };
}
