# What disko makes of a host's disks, as data. Firmware varies between hosts of one kind, so that each layout boots by BIOS and by UEFI.
# The data volume is in none of them: disko wipes what it is told of.
{ lib }:
let
  # Where the installation leaves the key of an encrypted root; components/system/installationCommands.ts has the same.
  diskKey = "/run/holdfast-disk-key";

  ext4 = {
    type = "filesystem";
    format = "ext4";
    mountpoint = "/";
  };
  boot = {
    type = "filesystem";
    format = "vfat";
    mountpoint = "/boot";
    mountOptions = [ "umask=0077" ];
  };
  root =
    encrypted:
    if encrypted then
      {
        type = "luks";
        name = "root";
        passwordFile = diskKey;
        content = ext4;
      }
    else
      ext4;

  disk = device: { esp, rest }: {
    type = "disk";
    inherit device;
    content = {
      type = "gpt";
      partitions = {
        bios = {
          size = "1M";
          type = "EF02";
          priority = 1;
        };
        ESP = {
          size = "1G";
          type = "EF00";
          content = esp;
        };
        root = {
          size = "100%";
          content = rest;
        };
      };
    };
  };
  half =
    device:
    disk device {
      esp = {
        type = "mdraid";
        name = "boot";
      };
      rest = {
        type = "mdraid";
        name = "root";
      };
    };

  single = { disk, encrypted, ... }: { disk.main = disk' disk encrypted; };
  disk' =
    device: encrypted:
    disk device {
      esp = boot;
      rest = root encrypted;
    };
in
{
  inherit single;
  hetzner = single;
  mirror = { disks, encrypted, ... }: {
    disk = {
      one = half (lib.elemAt disks 0);
      two = half (lib.elemAt disks 1);
    };
    mdadm = {
      # Its superblock lies at the end, so that firmware takes each half for a plain file system.
      boot = {
        type = "mdadm";
        level = 1;
        metadata = "1.0";
        content = boot;
      };
      root = {
        type = "mdadm";
        level = 1;
        content = root encrypted;
      };
    };
  };
}
