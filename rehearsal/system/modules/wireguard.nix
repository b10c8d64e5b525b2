# The node's end of its tunnels. Unit and interface are named as NixOS would name them.
{
  settings,
  text,
  layout,
  ...
}:
let
  inherit (settings) tunnel;
  interface = "wg-node";
  address = "${tunnel.address}/${toString tunnel.prefixLength}";

  # Keys that must still prove themselves have no address: they make a handshake, and what they send is dropped.
  peer =
    {
      name,
      publicKey,
      address ? null,
      presharedKey ? "wg-psk-${name}",
    }:
    ''
      wg set ${interface} peer ${text.quote publicKey} preshared-key ${layout.secrets}/${presharedKey} allowed-ips ${
        if address == null then "''" else "${address}/32"
      }
    '';

  # Brings the interface to what is wanted from whatever it is; sessions of unchanged peers go on. Keys are read by wg from their files.
  converge = text.script "converge-${interface}" ''
    if ! ip link show ${interface} > /dev/null 2>&1; then
      ip link add ${interface} type wireguard 2> /dev/null || WG_I_PREFER_BUGGY_USERSPACE_TO_POLISHED_KMOD=1 wireguard-go ${interface} 2> /dev/null
    fi
    wg set ${interface} listen-port ${toString tunnel.port} private-key ${layout.secrets}/wg-node-private-key
    wanted=(${text.lines (map (one: text.quote one.publicKey) tunnel.peers)})
    for known in $(wg show ${interface} peers); do
      [[ " ''${wanted[*]} " == *" $known "* ]] || wg set ${interface} peer "$known" remove
    done
    ${text.lines (map peer tunnel.peers)}
    for known in $(ip -oneline -4 address show dev ${interface} | awk '{ print $4 }'); do
      [[ $known == ${address} ]] || ip address delete "$known" dev ${interface}
    done
    ip address replace ${address} dev ${interface}
    ip link set ${interface} up
  '';
in
{
  "wireguard-${interface}.service" = {
    Unit = {
      Description = "WireGuard tunnels to the node";
      Requires = [ layout.secretsTarget ];
      After = [
        layout.secretsTarget
        "network-pre.target"
        "holdfast-firewall.service"
      ];
      X-ReloadIfChanged = true;
    };
    Service = {
      Type = "oneshot";
      RemainAfterExit = true;
      ExecStart = converge;
      # Reads the keys where they are: systemd would show a reload the credentials of the start.
      ExecReload = converge;
      ExecStop = "/usr/sbin/ip link delete ${interface}";
      NoNewPrivileges = true;
      ProtectSystem = "strict";
      ProtectHome = true;
      PrivateTmp = true;
      ProtectClock = true;
      ProtectKernelLogs = true;
      LockPersonality = true;
      RestrictRealtime = true;
      # wireguard-go's socket, which `wg` asks.
      RuntimeDirectory = "wireguard";
      CapabilityBoundingSet = "CAP_NET_ADMIN CAP_NET_RAW";
    };
    wantedBy = [ "multi-user.target" ];
  };
}
