import { describe, expect, it } from "vitest";
import { cloudRules } from "../../../../components/network/cloudFirewall.js";
import { policyOf } from "../../../../components/network/policy.js";
import { exampleNode } from "../recorder.js";

const { specification, remove } = exampleNode();
remove();
const seen = (node: typeof specification): string[] => cloudRules(policyOf(node)).map(({ description, protocol, port }) => [description, protocol, port].filter(Boolean).join(" "));

describe("the cloud's firewall", () => {
  it("lets in what the policy lets in from the internet, and nothing that answers inside the tunnel", () => {
    expect(seen(specification)).toEqual(["ssh tcp 22", "lightning tcp 9735", "wireguard udp 51820", "icmp-errors icmp"]);
  });

  it("closes SSH when it answers inside the tunnel alone", () => {
    expect(seen({ ...specification, sshFrom: "tunnel" })).toEqual(["lightning tcp 9735", "wireguard udp 51820", "icmp-errors icmp"]);
  });

  it("has a rule for everybody, over IPv4 and IPv6, inwards, with ports as text", () => {
    for (const rule of cloudRules(policyOf(specification))) {
      expect(rule).toMatchObject({ direction: "in", sourceIps: ["0.0.0.0/0", "::/0"] });
      expect(rule.port === undefined ? "icmp" : typeof rule.port).toBe(rule.protocol === "icmp" ? "icmp" : "string");
    }
  });
});
