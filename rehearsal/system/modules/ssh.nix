# OpenSSH by the machine's own sshd, with a configuration of ours: keys alone, and the one host key that the stack pins.
{ settings, text, ... }:
let
  authorizedKeys = text.write "authorized_keys" (text.lines settings.authorizedKeys + "\n");
  configuration = text.write "sshd_config" ''
    Port 22
    HostKey /etc/ssh/ssh_host_ed25519_key
    AuthorizedKeysFile ${authorizedKeys}
    PermitRootLogin prohibit-password
    AllowUsers root
    AuthenticationMethods publickey
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    UsePAM yes
    X11Forwarding no
    PrintMotd no
    UseDNS no
    # All of a rehearsal's strangers share a few addresses: one that knocks must not lock out the next.
    PerSourcePenalties no
    Subsystem sftp internal-sftp
  '';
in
{
  # Debian's own unit of this name shows through again when this one is gone.
  "ssh.service" = {
    Unit = {
      Description = "OpenSSH server, as the stack configures it";
      After = [
        "network.target"
        "holdfast-firewall.service"
      ];
    };
    Service = {
      Type = "notify";
      ExecStartPre = "/usr/sbin/sshd -t -f ${configuration}";
      ExecStart = "/usr/sbin/sshd -D -f ${configuration}";
      ExecReload = [
        "/usr/sbin/sshd -t -f ${configuration}"
        "/bin/kill -HUP $MAINPID"
      ];
      # A restart replaces the listener and leaves live sessions alone.
      KillMode = "process";
      Restart = "on-failure";
      RestartPreventExitStatus = 255;
      RuntimeDirectory = "sshd";
      RuntimeDirectoryMode = "0755";
      RuntimeDirectoryPreserve = true;
    };
    wantedBy = [ "multi-user.target" ];
  };
}
