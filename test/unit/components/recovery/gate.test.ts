import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { CommodityHost } from "../../../../components/host/commodity.js";
import { Gate } from "../../../../components/recovery/gate.js";
import { exampleNode, inputOf, isSecret, nodePublicKey, program, record, steps, valueOf } from "../recorder.js";

describe("the gate", () => {
  it("is asked for one place, one recipient and one system, with the node's identities sealed; its report is public", async () => {
    const { resources, watch } = await record();
    const { specification, remove } = exampleNode();
    remove();
    const host = new CommodityHost("h", { specification: specification.host }, watch);
    const { nodePublicKey: _, ...rest } = specification.identity;
    const nsec = { ...rest, kind: "nsec" as const, name: "main", publicIdentity: "ab".repeat(32) };
    const place = { environment: "dev", network: "regtest" as const, node: "alice", generation: 3 };
    const gate = new Gate("g", { host, place, identities: { seed: pulumi.output(specification.identity), files: pulumi.output([nsec]) }, recipient: "age1host", records: "environments/dev", toplevel: "/nix/store/x" }, watch);
    expect(await valueOf(gate.report)).toMatchObject({ state: "open", nodePublicKey });
    expect(await isSecret(gate.report)).toBe(false);
    expect(inputOf(resources, "open")).toEqual({ connection: await valueOf(host.connection), place, identity: specification.identity, identities: [nsec], recipient: "age1host", records: "environments/dev", toplevel: "/nix/store/x" });
    const open = steps(resources).find((one) => program(one) === "open")!;
    expect(open.inputs["triggers"]).toEqual([3]);
    expect(open.options.deletedWith).toBe(host);
  });
});
