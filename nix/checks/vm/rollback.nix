# A system that nobody commits is taken back: here one without SSH, tried by the agent with nobody to prove it.
{ machine, ... }:
{
  nodes.node = { lib, ... }: {
    imports = [
      machine
      ./secretsByHand.nix
    ];
    system.switch.enable = true;
    specialisation.mute.configuration.services.openssh.enable = lib.mkForce false;
  };
  testScript = ''
    import json

    node.wait_for_unit("sshd.service", timeout=120)
    node.wait_for_unit("nix-bitcoin-secrets.target", timeout=120)
    good = node.succeed("readlink --canonicalize /run/current-system").strip()
    node.succeed(f"nix-env --profile /nix/var/nix/profiles/system --set {good}")
    mute = node.succeed(f"readlink --canonicalize {good}/specialisation/mute").strip()
    asked = json.dumps({"toplevel": mute, "deadline": 30})
    node.succeed(f"echo '{asked}' | holdfast-agent activate")
    node.succeed(f"test \"$(readlink --canonicalize /run/current-system)\" = {mute}")
    node.fail("systemctl is-active sshd.service")
    node.wait_until_succeeds(f"test \"$(readlink --canonicalize /run/current-system)\" = {good}", timeout=180)
    node.wait_for_unit("sshd.service", timeout=60)
    node.succeed(f"test \"$(readlink --canonicalize /nix/var/nix/profiles/system)\" = {good}")
  '';
}
