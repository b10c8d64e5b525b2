import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { placeOfIdentity } from "../../../agent/gate/identityFiles.js";
import { onionServices } from "../../../config/combinations.js";
import { hostLayout } from "../../../formats/hostLayout.js";
import type { Settings } from "../../../formats/settings.js";
import { announceMissing, evaluate, nixFolder, type Evaluated } from "./evaluate.js";
import { pulledIn } from "./nodes.js";
import { everything, refusals, stackNode } from "./stackNode.js";

const address = (letter: string): string => `${letter.repeat(56)}.onion`;
const named = (settings: Settings, ...names: readonly string[]): Settings => ({
  ...settings, identities: [...settings.identities, ...names.map((name, index) => ({ kind: "onion-key" as const, name, publicIdentity: address("abcdefgh"[index]!) }))],
});
/** Everything that a daemon's start writes or runs. */
const preparation = ({ units }: Evaluated, unit: string): string => `${units[unit]!.preStart ?? ""}${units[unit]!.text}`;

describe("the onion services that wait for their keys", () => {
  it("are the same for the stack and for Nix", () => {
    expect(JSON.parse(readFileSync(join(nixFolder, "modules/services/onion-services.json"), "utf8"))).toEqual(onionServices);
  });
});

describe.skipIf(announceMissing())("an onion address that the stack names", () => {
  it("is served by Tor only where the gate has placed its key, and taken away when the gate closes", async () => {
    const evaluated = await evaluate(named(stackNode({ services: everything }), "lnd", "clightning", "bitcoind"));
    expect({ refused: refusals(evaluated), undeclared: evaluated.undeclared }).toEqual({ refused: [], undeclared: [] });
    // Tor itself is started at boot and would make a key for whatever its own configuration names.
    expect(Object.keys(evaluated.onionServices)).not.toEqual(expect.arrayContaining(["bitcoind"]));
    for (const name of ["lnd", "clightning", "bitcoind"]) expect(evaluated.onionServices).not.toHaveProperty(name);
    expect(evaluated.tor.settings["%include"]).toBe("/run/holdfast-onion/*.conf");
    expect(evaluated.units["tor.service"]!.serviceConfig!["BindReadOnlyPaths"]).toEqual(["/run/holdfast-onion"]);
    const unit = evaluated.units["holdfast-onion.service"]!;
    expect(unit).toMatchObject({ wantedBy: [hostLayout.identityTarget], partOf: [hostLayout.identityTarget], unitConfig: { "X-OnlyManualStart": true } });
    expect(pulledIn(evaluated.units, "holdfast-node.target")).not.toContain("holdfast-onion.service");

    const folder = mkdtempSync(join(tmpdir(), "holdfast-onion-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, "run"));
    const run = (script: string): void => void execFileSync("bash", ["-e"], {
      input: `systemctl() { echo "$@" >> ${folder}/asked; }\n${script.replaceAll("/run/holdfast-onion", `${folder}/run`).replaceAll(hostLayout.tor, `${folder}/tor`)}`, stdio: "pipe",
    });
    expect(() => run(unit.script!)).toThrow(/no key of the onion service (bitcoind|clightning|lnd)/);
    expect(readdirSync(join(folder, "run")).filter((name) => name.endsWith(".conf"))).toEqual([]);
    for (const name of ["lnd", "clightning", "bitcoind"]) {
      mkdirSync(join(folder, "tor/onion", name), { recursive: true });
      writeFileSync(join(folder, "tor/onion", name, "hs_ed25519_secret_key"), "");
    }
    run(unit.script!);
    expect(readFileSync(join(folder, "run/lnd.conf"), "utf8")).toBe(`HiddenServiceDir ${folder}/tor/onion/lnd\nHiddenServiceVersion 3\nHiddenServicePort 9735 127.0.0.1:9735\n`);
    expect(readFileSync(join(folder, "run/bitcoind.conf"), "utf8")).toContain("HiddenServicePort 8333 127.0.0.1:8334\n");
    expect(readFileSync(join(folder, "asked"), "utf8")).toBe("try-reload-or-restart --no-block tor.service\n");
    run(unit.postStop!);
    expect(readdirSync(join(folder, "run"))).toEqual([]);
    expect(placeOfIdentity(hostLayout, { kind: "onion-key", name: "lnd" }, "mainnet").path).toBe(`${hostLayout.tor}/onion/lnd/hs_ed25519_secret_key`);
  });

  it("is announced by LND, Core Lightning and bitcoind with its port; without one, nothing is", async () => {
    const announced = await evaluate(named(stackNode({ services: everything, lightning: { alias: "alice", p2pPort: 9740, clightningPort: 9736, restPort: 8080 } }), "lnd", "clightning", "bitcoind"));
    expect(preparation(announced, "lnd.service")).toContain(`echo "externalip=$(echo ${address("a")}:9740)"`);
    expect(preparation(announced, "clightning.service")).toContain(`echo "announce-addr=$(echo ${address("b")}):9736"`);
    expect(preparation(announced, "bitcoind.service")).toContain(`echo "externalip=$(echo ${address("c")}:8333)"`);
    const silent = await evaluate(stackNode({ services: everything }));
    for (const unit of ["lnd.service", "clightning.service", "bitcoind.service"]) expect(preparation(silent, unit), unit).not.toMatch(/externalip|announce-addr/);
    expect(silent.units).not.toHaveProperty(["holdfast-onion.service"]);
    expect(silent.tor.settings).not.toHaveProperty(["%include"]);
  });

  it("may be the Electrum server's or the shop's, which others know by it", async () => {
    const evaluated = await evaluate(named(stackNode({ services: everything, nixos: { published: ["btcpayserver"] } }), "fulcrum", "btcpayserver"));
    expect(refusals(evaluated)).toEqual([]);
    expect(evaluated.units["holdfast-onion.service"]!.script).toContain("HiddenServicePort 80 10.10.0.1:23000");
    expect(evaluated.onionServices).not.toHaveProperty("fulcrum");
  });

  it.each([
    ["of a service that is not there", named(stackNode(), "fulcrum"), "{ }", "The stack names onion keys for fulcrum, and no onion service of that name waits for its key on this node."],
    ["of SSH, which is there before the gate", named(stackNode(), "sshd"), "{ }", "The stack names onion keys for sshd, and no onion service of that name waits for its key on this node."],
    ["of LND whose key Tor would make", stackNode(), "{ nix-bitcoin.onionServices.lnd.public = true; }", "nix-bitcoin.onionServices gives lnd an onion address whose key Tor would make: others would know the node by it, and a rebuild would lose it."],
  ])("is refused: %s", async (_, settings, extra, words) => {
    expect(refusals(await evaluate(settings, extra))).toEqual([words]);
  });
});
