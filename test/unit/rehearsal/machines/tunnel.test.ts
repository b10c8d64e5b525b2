import { describe, expect, it } from "vitest";
import { parseTunnel, tunnelCommands, tunnelInterface } from "../../../../rehearsal/machines/tunnel.js";

const KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
const text = [
  "[Interface]", `PrivateKey = ${KEY}`, "Address = 10.10.0.2/32, fd00::2/128", "DNS = 10.10.0.1", "MTU = 1380", "",
  "# the node", "[Peer]", `PublicKey = ${KEY}`, `PresharedKey=${KEY}`, "Endpoint = 192.0.2.7:51820", "AllowedIPs = 10.10.0.1/32,fd00::1/128", "PersistentKeepalive = 25", "",
].join("\n");

describe("a wg-quick configuration", () => {
  it("gives wg its own keys, to the letter, and the rest to ip", () => {
    expect(parseTunnel(text)).toEqual({
      wireguard: ["[Interface]", `PrivateKey = ${KEY}`, "[Peer]", `PublicKey = ${KEY}`, `PresharedKey=${KEY}`, "Endpoint = 192.0.2.7:51820", "AllowedIPs = 10.10.0.1/32,fd00::1/128", "PersistentKeepalive = 25", ""].join("\n"),
      addresses: ["10.10.0.2/32", "fd00::2/128"], mtu: 1380, routes: ["10.10.0.1/32", "fd00::1/128"],
    });
  });
  it("routes what the peers may have, and nothing else", () => {
    const device = tunnelInterface("hf-0000-phone");
    expect(device.length).toBeLessThanOrEqual(15);
    expect(tunnelCommands("hf-0000-phone", parseTunnel(text))).toEqual([
      ["ip", "-n", "hf-0000-phone", "address", "add", "10.10.0.2/32", "dev", device],
      ["ip", "-n", "hf-0000-phone", "address", "add", "fd00::2/128", "dev", device],
      ["ip", "-n", "hf-0000-phone", "link", "set", device, "mtu", "1380", "up"],
      ["ip", "-n", "hf-0000-phone", "route", "replace", "10.10.0.1/32", "dev", device],
      ["ip", "-n", "hf-0000-phone", "-6", "route", "replace", "fd00::1/128", "dev", device],
    ]);
  });
  it.each([["PostUp = rm -rf /", "[Interface]"], ["Table = off", "[Interface]"], ["Adress = 10.0.0.1", "[Interface]"], ["PrivateKey = x", "[Peer]"]])("with %j under %s is refused by its line", (line, section) => {
    expect(() => parseTunnel(`${section}\n${line}\n`)).toThrow(/^line 2 of the tunnel's configuration/);
  });
  it("is refused without its values in the message", () => {
    expect(() => parseTunnel(`[Peer]\nPrivateKey = ${KEY}\n`)).toThrow(expect.not.objectContaining({ message: expect.stringContaining(KEY) }));
  });
  it("without an address is refused", () => expect(() => parseTunnel(`[Interface]\nPrivateKey = ${KEY}\n`)).toThrow("no Address"));
});
