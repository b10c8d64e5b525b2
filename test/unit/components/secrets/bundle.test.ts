import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { SealedBundle } from "../../../../components/secrets/bundle.js";
import { age, inputOf, isSecret, record, steps, valueOf } from "../recorder.js";

const place = { environment: "dev", network: "regtest" as const, node: "alice", generation: 3 };
const connection = { user: "root", address: "10.231.9.10", port: 22, hostKey: "ssh-ed25519 AAAAkey" };
const files = [{ name: "x", owner: "root", group: "root", mode: "0400", consumers: [], content: "eA==" }];

describe("a sealed bundle", () => {
  it("names its place, is sealed for the host's recipient, and only its ciphertext is delivered", async () => {
    const { resources } = await record();
    const bundle = new SealedBundle("b", { place, files: pulumi.secret(files), recipient: "age1host", connection, host: { generation: 3 }, records: "environments/prod" });
    expect(await valueOf(bundle.delivery)).toEqual({ version: 7, changed: [], replaces: null });
    expect(inputOf(resources, "seal")).toEqual({ recipient: "age1host", bundle: { format: "holdfast-bundle/1", place, files } });
    expect(inputOf(resources, "deliver")).toEqual({ connection, sealed: age("bundle"), place, records: "environments/prod" });
    expect(steps(resources).map(({ inputs }) => inputs["triggers"])).toEqual([[3], [3]]);
    expect(await isSecret(bundle.delivery)).toBe(false);
  });
});
