import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { CommodityHost, commodityConnection } from "../../../../components/host/commodity.js";
import { Secrets } from "../../../../components/secrets/secrets.js";
import { Installation } from "../../../../components/system/nixosInstallation.js";
import { settingsOf } from "../../../../components/system/settings.js";
import { nixosSchema } from "../../../../formats/settings.js";
import { exampleNode, inputOf, isSecret, program, record, steps, valueOf } from "../recorder.js";

const disk = "/dev/disk/by-id/one";

describe("an installation", () => {
  it("is given the disks' key as a secret and the operator's word, runs once for a generation, and comes before the host is reached", async () => {
    const { specification: example, stack, remove } = exampleNode();
    const specification = { ...example, services: [...example.services, "encrypted-root" as const], nixos: nixosSchema.parse({ disks: { layout: "single", disk, encrypted: true } }), wipe: { generation: 3, disks: [disk] } };
    const settings = settingsOf(specification, stack.authorizedKeys, { publicKey: "node=", peers: [] });
    const { resources, watch } = await record();
    const secrets = new Secrets("secrets", specification, watch);
    remove();
    const installation = new Installation("i", { specification, stack, connection: pulumi.output(commodityConnection(specification.host, "ssh_key")), settings: pulumi.output(settings), secrets }, watch);
    const host = new CommodityHost("h", { specification: specification.host, after: installation.installed }, watch);
    expect(await valueOf(installation.installed)).toEqual({ state: "installed", generation: 3 });
    expect(await isSecret(installation.installed)).toBe(false);
    await valueOf(host.connection);
    const { generation, ...where } = specification.host;
    expect(inputOf(resources, "provision")).toEqual({
      connection: { ...where, identityFile: "ssh_key" }, generation, node: "alice-1", flake: "./flake", settings, wipe: specification.wipe, diskKey: await valueOf(secrets.value("root-disk-key")),
    });
    const [provision, reach] = ["provision", "reach"].map((name) => steps(resources).find((one) => program(one) === name)!);
    expect(provision!.options.ignoreChanges).toEqual(["stdin"]);
    expect(provision!.name).toBe("i-provision-3");
    expect(reach!.options.dependsOn).toBeDefined();
  });
});
