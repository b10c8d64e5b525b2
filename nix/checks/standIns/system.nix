# The system itself: assertions, activation, files of /etc, Nix.
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
  attributes = mkOption {
    type = types.attrsOf types.anything;
    default = { };
  };
  packages = mkOption {
    type = types.listOf types.package;
    default = [ ];
  };
  lines = mkOption {
    type = types.lines;
    default = "";
  };

  activationScript = types.coercedTo types.str lib.noDepEntry (
    types.submodule {
      options = {
        deps = strings;
        text = lines;
        supportsDryActivation = flag false;
      };
    }
  );

  etcFile = { name, config, ... }: {
    options = {
      enable = flag true;
      target = mkOption {
        type = types.str;
        default = name;
      };
      text = mkOption {
        type = types.nullOr types.lines;
        default = null;
      };
      source = mkOption { type = types.path; };
      mode = mkOption {
        type = types.str;
        default = "symlink";
      };
      user = mkOption {
        type = types.str;
        default = "+0";
      };
      group = mkOption {
        type = types.str;
        default = "+0";
      };
      uid = mkOption {
        type = types.int;
        default = 0;
      };
      gid = mkOption {
        type = types.int;
        default = 0;
      };
    };
    config.source = lib.mkIf (config.text != null) (
      lib.mkDerivedConfig config.text (pkgs.writeText "etc-${baseNameOf name}")
    );
  };
in
{
  options = {
    assertions = mkOption {
      default = [ ];
      type = types.listOf (
        types.submodule {
          options = {
            assertion = mkOption { type = types.bool; };
            message = mkOption { type = types.str; };
          };
        }
      );
    };
    warnings = strings;
    meta = mkOption {
      type = types.attrsOf types.unspecified;
      default = { };
    };

    system = {
      stateVersion = mkOption {
        type = types.strMatching "[0-9]{2}[.](05|11)";
        default = "26.05";
      };
      activationScripts = mkOption {
        type = types.attrsOf activationScript;
        default = { };
      };
      extraDependencies = packages;
      build = mkOption {
        type = types.lazyAttrsOf types.unspecified;
        default = { };
      };
      name = mkOption {
        type = types.str;
        default = "node";
      };
      configurationRevision = mkOption {
        type = types.nullOr types.str;
        default = null;
      };
      extraSystemBuilderCmds = lines;
      systemBuilderCommands = lines;
      disableInstallerTools = flag false;
      switch.enable = flag true;
    };
    nixpkgs = {
      hostPlatform = mkOption {
        type = types.either types.str (types.attrsOf types.unspecified);
        default = "x86_64-linux";
      };
      system = mkOption {
        type = types.str;
        default = "x86_64-linux";
      };
      overlays = mkOption {
        type = types.listOf types.unspecified;
        default = [ ];
      };
      config = attributes;
    };
    nix = {
      enable = flag true;
      package = mkOption {
        type = types.package;
        default = pkgs.nix;
      };
      settings = mkOption {
        type = types.attrsOf (
          types.oneOf [
            types.bool
            types.int
            types.str
            types.path
            (types.listOf types.str)
          ]
        );
        default = { };
      };
      gc = {
        automatic = flag false;
        dates = mkOption {
          type = types.either types.str (types.listOf types.str);
          default = "03:15";
        };
        options = mkOption {
          type = types.singleLineStr;
          default = "";
        };
      };
      optimise.automatic = flag false;
      extraOptions = lines;
      channel.enable = flag true;
      registry = attributes;
      nixPath = strings;
    };
    environment = {
      etc = mkOption {
        type = types.attrsOf (types.submodule etcFile);
        default = { };
      };
      systemPackages = packages;
      defaultPackages = packages;
      variables = mkOption {
        type = types.attrsOf (
          types.oneOf [
            (types.listOf (
              types.oneOf [
                types.int
                types.str
                types.path
              ]
            ))
            types.int
            types.str
            types.path
          ]
        );
        default = { };
      };
      sessionVariables = attributes;
      shellAliases = mkOption {
        type = types.attrsOf (types.nullOr types.str);
        default = { };
      };
      shellInit = lines;
      interactiveShellInit = lines;
      memoryAllocator.provider = mkOption {
        type = types.enum [
          "libc"
          "graphene-hardened"
          "graphene-hardened-light"
          "jemalloc"
          "mimalloc"
          "scudo"
        ];
        default = "libc";
      };
      stub-ld.enable = flag true;
    };
    documentation = {
      enable = flag true;
      nixos.enable = flag true;
      man.enable = flag true;
      doc.enable = flag true;
      info.enable = flag true;
    };
    time.timeZone = mkOption {
      type = types.nullOr types.str;
      default = null;
    };
    i18n.defaultLocale = mkOption {
      type = types.str;
      default = "en_US.UTF-8";
    };
    console.keyMap = mkOption {
      type = types.either types.str types.path;
      default = "us";
    };
    programs = {
      bash.interactiveShellInit = lines;
      ssh.knownHosts = attributes;
      ssh.extraConfig = lines;
      fuse.userAllowOther = flag false;
      command-not-found.enable = flag true;
    };
    virtualisation.vmVariant = mkOption {
      type = types.unspecified;
      default = { };
    };
  };

  # Other activation scripts name these two as what goes before them.
  config.system.activationScripts = {
    specialfs = "";
    users = "";
    groups = "";
    etc = "";
  };
}
