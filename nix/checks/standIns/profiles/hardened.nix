# Which options NixOS's profile `hardened` turns, as its manual lists them; nix-bitcoin's preset of that name imports it.
{ lib, ... }:
{
  nix.settings.allowed-users = lib.mkDefault [ "@users" ];
  environment.memoryAllocator.provider = lib.mkDefault "scudo";
  security = {
    lockKernelModules = lib.mkDefault true;
    protectKernelImage = lib.mkDefault true;
    allowUserNamespaces = lib.mkDefault false;
    allowSimultaneousMultithreading = lib.mkDefault false;
    forcePageTableIsolation = lib.mkDefault true;
    unprivilegedUsernsClone = lib.mkDefault false;
    virtualisation.flushL1DataCache = lib.mkDefault "always";
    apparmor.enable = lib.mkDefault true;
    apparmor.killUnconfinedConfinables = lib.mkDefault true;
  };
  boot.kernelParams = [
    "slab_nomerge"
    "page_poison=1"
    "page_alloc.shuffle=1"
    "debugfs=off"
  ];
  boot.kernel.sysctl = {
    "kernel.yama.ptrace_scope" = lib.mkOverride 500 1;
    "kernel.kptr_restrict" = lib.mkOverride 500 2;
    "net.core.bpf_jit_enable" = lib.mkDefault false;
    "kernel.ftrace_enabled" = lib.mkDefault false;
  };
}
