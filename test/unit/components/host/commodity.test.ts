import { describe, expect, it } from "vitest";
import { CommodityHost } from "../../../../components/host/commodity.js";
import { exampleNode, inputOf, isSecret, record, steps, valueOf } from "../recorder.js";

describe("a commodity host", () => {
  const { specification, remove } = exampleNode();
  remove();
  const { generation, ...where } = specification.host;

  it("is reached with its pinned key before anything else may be sent to it", async () => {
    const { resources, watch } = await record();
    const host = new CommodityHost("h", { specification: specification.host, identityFile: "key" }, watch);
    expect(await valueOf(host.connection)).toEqual({ ...where, identityFile: "key" });
    expect(await valueOf(host.machineId)).toBe("m".repeat(32));
    expect(inputOf(resources, "reach")).toEqual({ connection: { ...where, identityFile: "key" } });
    expect(steps(resources)[0]!.inputs["triggers"]).toEqual([generation]);
  });

  it("says nothing secret, and stands for its machine", async () => {
    const { watch } = await record();
    const host = new CommodityHost("h", { specification: specification.host }, watch);
    for (const output of [host.connection, host.machineId, host.address]) expect(await isSecret(output)).toBe(false);
    expect(await valueOf(host.connection)).not.toHaveProperty("identityFile");
    expect(host.resource).toBe(host);
    expect(host.generation).toBe(3);
  });
});
