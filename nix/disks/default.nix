# The disks of a host that Holdfast installs. A host with its own (`kept`) brings its hardware configuration by itself.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.holdfast.disks;
  wiped =
    if cfg.layout == "kept" then
      [ ]
    else if cfg.layout == "mirror" then
      cfg.disks
    else
      [ cfg.disk ];
in
{
  imports = [
    ./unlock.nix
    ./dataVolume.nix
    ./guest.nix
  ];

  options.holdfast.disks = {
    layout = mkOption {
      type = types.enum [
        "kept"
        "single"
        "hetzner"
        "mirror"
      ];
      default = "kept";
      description = "What disko makes of the disks at installation. `kept`: nothing.";
    };
    disk = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_1";
      description = "The disk of the layouts `single` and `hetzner`.";
    };
    disks = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "The two disks of the layout `mirror`.";
    };
    encrypted = mkOption {
      type = types.bool;
      default = false;
      description = "LUKS below the root file system. At each start the host waits at port ${toString cfg.unlockPort} for its key.";
    };
    unlockPort = mkOption {
      type = types.port;
      default = 2222;
      internal = true;
      description = "Where an encrypted host answers SSH before its disk is open; components/system/installationCommands.ts has the same.";
    };
    dataVolume = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "A disk or partition for the bulk of the data. No installation touches it.";
    };
  };

  config = lib.mkMerge [
    {
      assertions = [
        {
          assertion = lib.all (lib.hasPrefix "/dev/disk/by-id/") (
            wiped ++ lib.optional (cfg.dataVolume != null) cfg.dataVolume
          );
          message = ''
            holdfast.disks names a disk by a name that may change: ${lib.concatStringsSep ", " wiped}.
            Use the names below /dev/disk/by-id/ (`ls -l /dev/disk/by-id` on the host).
          '';
        }
        {
          assertion =
            lib.length (lib.unique wiped) == (
              if cfg.layout == "kept" then
                0
              else if cfg.layout == "mirror" then
                2
              else
                1
            );
          message = ''
            holdfast.disks.layout is ${cfg.layout} and wants ${
              if cfg.layout == "mirror" then
                "two different disks in holdfast.disks.disks"
              else
                "one disk in holdfast.disks.disk"
            }.
          '';
        }
        {
          assertion =
            !lib.any (
              disk: cfg.dataVolume == disk || lib.hasPrefix "${disk}-part" (toString cfg.dataVolume)
            ) wiped;
          message = ''
            holdfast.disks.dataVolume (${toString cfg.dataVolume}) lies on a disk that an installation wipes (${lib.concatStringsSep ", " wiped}).
            Give the data volume a disk of its own.
          '';
        }
      ];
    }
    (lib.mkIf (cfg.layout != "kept") {
      disko.devices = (import ./layouts.nix { inherit lib; }).${cfg.layout} {
        inherit (cfg) disk disks encrypted;
      };
      boot.loader.grub = {
        enable = true;
        efiSupport = true;
        # The firmware's own list of systems is not written: it may be read-only, and another host's.
        efiInstallAsRemovable = true;
      };
      boot.initrd.availableKernelModules = [
        "ahci"
        "nvme"
        "sd_mod"
        "usb_storage"
        "xhci_pci"
        "virtio_pci"
        "virtio_blk"
        "virtio_scsi"
      ];
    })
    (lib.mkIf (cfg.layout == "mirror") {
      boot.swraid = {
        enable = true;
        mdadmConf = "MAILADDR root";
      };
    })
  ];
}
