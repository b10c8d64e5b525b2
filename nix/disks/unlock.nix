# An encrypted root is opened over SSH at each start. The initrd's host key is its own: it lies on the unencrypted /boot, and proves nothing but the waiting host.
{ config, lib, ... }:
let
  cfg = config.holdfast.disks;
in
lib.mkIf (cfg.layout != "kept" && cfg.encrypted) {
  boot.initrd = {
    systemd.enable = true;
    # Of the network cards that servers have.
    availableKernelModules = [
      "virtio_net"
      "e1000e"
      "igb"
      "igc"
      "ixgbe"
      "r8169"
      "bnxt_en"
      "tg3"
    ];
    network = {
      enable = true;
      ssh = {
        enable = true;
        port = cfg.unlockPort;
        hostKeys = [ "/etc/holdfast-initrd/ssh_host_ed25519_key" ];
        authorizedKeys = lib.unique config.users.users.root.openssh.authorizedKeys.keys;
      };
    };
  };
}
