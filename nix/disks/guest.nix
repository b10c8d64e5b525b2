# Hetzner's servers are QEMU's guests. What nixpkgs' profiles/qemu-guest.nix loads, but only where the layout says so: an import cannot depend on an option.
{ config, lib, ... }:
lib.mkIf (config.holdfast.disks.layout == "hetzner") {
  boot.initrd = {
    availableKernelModules = [
      "virtio_net"
      "virtio_pci"
      "virtio_mmio"
      "virtio_blk"
      "virtio_scsi"
      "9p"
      "9pnet_virtio"
    ];
    kernelModules = [
      "virtio_balloon"
      "virtio_console"
      "virtio_rng"
      "virtio_gpu"
    ];
  };
}
