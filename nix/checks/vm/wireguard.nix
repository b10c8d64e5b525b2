# A peer with its keys reaches inside the tunnel what the policy gives to tunnels, and nothing else.
{
  pkgs,
  machine,
  phone,
  ...
}:
{
  nodes = {
    node.imports = [
      machine
      ./secretsByHand.nix
    ];
    phone.environment.systemPackages = [
      pkgs.netcat
      pkgs.wireguard-tools
    ];
  };
  testScript = ''
    start_all()
    node.wait_for_unit("wireguard-wg-node.service", timeout=120)
    node.wait_for_unit("wireguard-wg-node-peer-phone.service", timeout=60)
    public = node.succeed("wg show wg-node public-key").strip()
    for port in [8080, 8332]:
        node.succeed(f"systemd-run --unit=listener-{port} nc -lk 10.10.0.1 {port}")
        node.wait_until_succeeds(f"nc -z -w 2 10.10.0.1 {port}", timeout=30)

    phone.wait_for_unit("network.target")
    phone.succeed("ip link add wg0 type wireguard && ip address add 10.10.0.2/24 dev wg0")
    phone.succeed("echo ${phone.privateKey} > /root/key && echo ${phone.presharedKey} > /root/psk")
    phone.fail("nc -z -w 2 node 8080")
    peer = f"peer '{public}' endpoint $(getent ahostsv4 node | head -n 1 | cut -d ' ' -f 1):51820 allowed-ips 10.10.0.1/32"
    phone.succeed(f"wg set wg0 private-key /root/key {peer} && ip link set wg0 up")
    phone.fail("nc -z -w 5 10.10.0.1 8080")  # Without the preshared key.
    phone.succeed(f"wg set wg0 {peer} preshared-key /root/psk")
    phone.wait_until_succeeds("nc -z -w 2 10.10.0.1 8080", timeout=60)
    phone.fail("nc -z -w 2 10.10.0.1 8332")
  '';
}
