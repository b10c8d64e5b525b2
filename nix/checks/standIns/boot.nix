# Boot loader, kernel, initial ramdisk, file systems.
{ lib, pkgs, ... }:
let
  inherit (lib) mkOption types;
  flag =
    default:
    mkOption {
      type = types.bool;
      inherit default;
    };
  strings = mkOption {
    type = types.listOf types.str;
    default = [ ];
  };
  lines = mkOption {
    type = types.lines;
    default = "";
  };
  maybe =
    type:
    mkOption {
      type = types.nullOr type;
      default = null;
    };
  count =
    default:
    mkOption {
      type = types.int;
      inherit default;
    };

  fileSystem = { name, ... }: {
    options = {
      mountPoint = mkOption {
        type = types.str;
        default = name;
      };
      device = maybe types.str;
      label = maybe types.str;
      fsType = mkOption {
        type = types.str;
        default = "auto";
      };
      options = mkOption {
        type = types.listOf types.str;
        default = [ "defaults" ];
      };
      neededForBoot = flag false;
      noCheck = flag false;
      autoFormat = flag false;
      autoResize = flag false;
      depends = strings;
    };
  };
  luksDevice = { name, ... }: {
    options = {
      name = mkOption {
        type = types.str;
        default = name;
      };
      device = mkOption { type = types.path; };
      keyFile = maybe types.str;
      allowDiscards = flag false;
      bypassWorkqueues = flag false;
      preLVM = flag true;
      crypttabExtraOpts = strings;
      fallbackToPassword = flag false;
    };
  };
  sysctl = types.attrsOf (
    types.nullOr (
      types.oneOf [
        types.bool
        types.str
        types.int
      ]
    )
  );
in
{
  options = {
    boot = {
      kernel.sysctl = mkOption {
        type = sysctl;
        default = { };
      };
      kernelParams = strings;
      kernelModules = strings;
      blacklistedKernelModules = strings;
      extraModprobeConfig = lines;
      kernelPackages = mkOption {
        type = types.raw;
        default = pkgs.linuxPackages;
      };
      supportedFilesystems = mkOption {
        type = types.either (types.listOf types.str) (types.attrsOf types.bool);
        default = [ ];
      };
      growPartition = flag false;
      tmp = {
        cleanOnBoot = flag false;
        useTmpfs = flag false;
      };
      consoleLogLevel = count 4;
      swraid = {
        enable = flag false;
        mdadmConf = lines;
      };
      loader = {
        timeout = mkOption {
          type = types.nullOr types.int;
          default = 5;
        };
        grub = {
          enable = flag true;
          device = mkOption {
            type = types.str;
            default = "";
          };
          devices = strings;
          efiSupport = flag false;
          efiInstallAsRemovable = flag false;
          enableCryptodisk = flag false;
          configurationLimit = count 100;
          useOSProber = flag false;
          mirroredBoots = mkOption {
            default = [ ];
            type = types.listOf (
              types.submodule {
                options = {
                  path = mkOption { type = types.str; };
                  devices = strings;
                  efiSysMountPoint = maybe types.str;
                };
              }
            );
          };
        };
        systemd-boot = {
          enable = flag false;
          configurationLimit = maybe types.int;
          editor = flag true;
        };
        efi = {
          canTouchEfiVariables = flag false;
          efiSysMountPoint = mkOption {
            type = types.str;
            default = "/boot";
          };
        };
      };
      initrd = {
        enable = flag true;
        availableKernelModules = strings;
        kernelModules = strings;
        luks.devices = mkOption {
          type = types.attrsOf (types.submodule luksDevice);
          default = { };
        };
        luks.forceLuksSupportInInitrd = flag false;
        postDeviceCommands = lines;
        secrets = mkOption {
          type = types.attrsOf (types.nullOr types.path);
          default = { };
        };
        supportedFilesystems = mkOption {
          type = types.either (types.listOf types.str) (types.attrsOf types.bool);
          default = [ ];
        };
        systemd = {
          enable = flag true;
          users.root.shell = maybe types.str;
          services = mkOption {
            type = types.attrsOf types.anything;
            default = { };
          };
        };
        network = {
          enable = flag false;
          flushBeforeStage2 = flag true;
          ssh = {
            enable = flag false;
            port = mkOption {
              type = types.port;
              default = 22;
            };
            authorizedKeys = strings;
            hostKeys = mkOption {
              type = types.listOf (types.either types.str types.path);
              default = [ ];
            };
            shell = maybe types.str;
          };
        };
      };
    };
    fileSystems = mkOption {
      type = types.attrsOf (types.submodule fileSystem);
      default = { };
    };
    swapDevices = mkOption {
      type = types.listOf (types.attrsOf types.anything);
      default = [ ];
    };
    zramSwap.enable = flag false;
    hardware = {
      enableRedistributableFirmware = flag false;
      cpu.intel.updateMicrocode = flag false;
      cpu.amd.updateMicrocode = flag false;
    };
  };
}
