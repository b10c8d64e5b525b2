# What a system on trial needs so that the agent can take it back. The watchdog itself is a transient unit, which the agent arms before it switches.
{ config, lib, ... }:
let
  cfg = config.holdfast.activation-watchdog;
in
{
  options.holdfast.activation-watchdog = {
    enable = lib.mkEnableOption "the way back from a system that nobody has committed";
    panicSeconds = lib.mkOption {
      type = lib.types.ints.positive;
      default = 30;
      description = "Seconds after which a kernel that panicked restarts, into the system that was committed last.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = [
      {
        assertion = config.system.switch.enable;
        message = ''
          system.switch.enable is off: a system without switch-to-configuration can be neither tried, nor committed, nor taken back.
          Turn system.switch.enable on.
        '';
      }
      {
        assertion = config.nix.enable or true;
        message = ''
          nix.enable is off: without nix-env, the agent cannot make a system that proved itself the one that boots.
          Turn nix.enable on.
        '';
      }
    ];

    # A system on trial is not the one that boots: whatever ends in a restart ends in the committed one.
    boot.kernel.sysctl."kernel.panic" = lib.mkDefault cfg.panicSeconds;
    systemd.settings.Manager = {
      RuntimeWatchdogSec = lib.mkDefault "60s";
      RebootWatchdogSec = lib.mkDefault "10min";
    };
  };
}
