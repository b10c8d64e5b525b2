import { describe, expect, it } from "vitest";
import { CommodityHost } from "../../../../components/host/commodity.js";
import { Gate } from "../../../../components/recovery/gate.js";
import { exampleNode, inputOf, isSecret, nodePublicKey, program, record, steps, valueOf } from "../recorder.js";

describe("the gate", () => {
  it("is asked for one place, one recipient and one system, with the seed sealed; its report is public", async () => {
    const { resources, watch } = await record();
    const { specification, remove } = exampleNode();
    remove();
    const host = new CommodityHost("h", { specification: specification.host }, watch);
    const place = { environment: "dev", network: "regtest" as const, node: "alice", generation: 3 };
    const gate = new Gate("g", { host, place, identity: specification.identity, recipient: "age1host", toplevel: "/nix/store/x" }, watch);
    expect(await valueOf(gate.report)).toMatchObject({ state: "open", nodePublicKey });
    expect(await isSecret(gate.report)).toBe(false);
    expect(inputOf(resources, "open")).toEqual({ connection: await valueOf(host.connection), place, identity: specification.identity, recipient: "age1host", toplevel: "/nix/store/x" });
    const open = steps(resources).find((one) => program(one) === "open")!;
    expect(open.inputs["triggers"]).toEqual([3]);
    expect(open.options.deletedWith).toBe(host);
  });
});
