import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { rotateAge } from "../../../../cli/rotate/age.js";
import { underway } from "../../../../cli/rotate/journal.js";
import { rotateSecrets } from "../../../../cli/rotate/secret.js";
import { rotateSsh } from "../../../../cli/rotate/ssh.js";
import { rotatePeer } from "../../../../cli/rotate/wireguard.js";
import { identityOf, openWith } from "../../../../custody/identityFile.js";
import { PowerCut, spend, template, versionsOf, worldFrom, type Power, type World } from "./world.js";

const power = vi.hoisted((): Power => ({ left: Infinity }));

// Every change of a file can be the last thing that a killed command did.
vi.mock("node:fs", async (original) => {
  const fs = await original<typeof import("node:fs")>();
  const deed = <T extends (...args: never[]) => unknown>(work: T): T => ((...args: never[]) => {
    spend(power);
    return work(...args);
  }) as unknown as T;
  return { ...fs, writeFileSync: deed(fs.writeFileSync), renameSync: deed(fs.renameSync), rmSync: deed(fs.rmSync), copyFileSync: deed(fs.copyFileSync), linkSync: deed(fs.linkSync) };
});
// The real one takes 0.1 s, and is called a thousand times here.
vi.mock("../../../../custody/fingerprint.js", async () => {
  const { createHash } = await import("node:crypto");
  return { passphraseFingerprint: (passphrase: string) => createHash("sha256").update(passphrase).digest("hex") };
});

let source: string;
beforeAll(async () => { source = await template(); });
afterAll(async () => { (await import("node:fs")).rmSync(source, { recursive: true, force: true }); });

interface Kind {
  readonly rotate: (world: World) => Promise<void>;
  /** What must hold at the end. */
  readonly holds: (world: World, before: World) => Promise<void> | void;
  /** What must hold wherever it was cut: somebody can still get in. */
  readonly access?: (world: World) => Promise<boolean>;
}

const never = (): Promise<string> => Promise.reject(new Error("in clear"));
const peer = { peer: "phone", within: 0 };
const textOf = (world: World, name: string): string => readFileSync(join(world.places.project, name), "utf8");
const json = (world: World, name: string): { readonly recipient: string; readonly nodePublicKey?: string; readonly sealed: string } => JSON.parse(textOf(world, name)) as ReturnType<typeof json>;

const kinds: Readonly<Record<string, Kind>> = {
  "rotate secret": {
    rotate: ({ means }) => rotateSecrets(means, { id: "lnd-tls-key" }),
    holds: (world) => {
      expect(versionsOf(world)).toEqual({ "lnd-tls-key": { version: 2, rotated: expect.any(String) as string } });
      expect(world.deployed().nodes[0]!.versions["lnd-tls-key"]!.version).toBe(2);
    },
  },
  "rotate wireguard": {
    rotate: ({ means }) => rotatePeer(means, peer),
    holds: (world) => {
      expect(versionsOf(world)).toEqual({ "wireguard-peer-phone": { version: 2, rotated: expect.any(String) as string } });
      expect(world.deployed().nodes[0]!.versions["wireguard-peer-phone"]).toEqual(versionsOf(world)["wireguard-peer-phone"]);
    },
  },
  "rotate ssh": {
    rotate: ({ means }) => rotateSsh(means, {}),
    access: async (world) => {
      const files = ["ssh_ed25519", "ssh_ed25519.next", "ssh_ed25519.previous"].map(world.file).filter((file) => existsSync(file) && existsSync(`${file}.pub`));
      const logins = await Promise.all(files.map((identityFile) => world.means.hosts.login({ user: "root", address: "", port: 22, hostKey: "", identityFile })));
      return logins.some(({ accepted }) => accepted);
    },
    holds: (world, before) => {
      const keys = world.deployed().authorizedKeys;
      expect(keys).toEqual([before.deployed().authorizedKeys[0], readFileSync(world.file("ssh_ed25519.pub"), "utf8").trim()]);
      expect(keys[1]).not.toBe(before.deployed().authorizedKeys[1]);
      expect(readdirSync(world.places.state).filter((name) => name.startsWith("ssh_")).sort()).toEqual(["ssh_ed25519", "ssh_ed25519.pub"]);
    },
  },
  "rotate age environment": {
    rotate: ({ means }) => rotateAge(means, { role: "environment" }),
    holds: (world, before) => {
      expect(world.deployed().recipients).toEqual({ ...before.deployed().recipients, environment: expect.not.stringMatching(before.deployed().recipients.environment) as string });
      expect(textOf(world, "state.salt")).not.toBe(textOf(before, "state.salt"));
    },
  },
  "rotate age recovery": {
    rotate: ({ means }) => rotateAge(means, { role: "recovery" }),
    holds: (world, before) => expect(world.deployed().recipients).toEqual({ ...before.deployed().recipients, recovery: expect.not.stringMatching(before.deployed().recipients.recovery) as string }),
  },
  "rotate age wallet": {
    rotate: ({ means }) => rotateAge(means, { role: "wallet" }),
    holds: async (world, before) => {
      const own = await identityOf(world.file("wallet.age-key"), never);
      expect(own).not.toBe(await identityOf(before.file("wallet.age-key"), never));
      for (const name of ["seed.json", "nsec.json"]) {
        expect(await openWith(world.file("wallet.age-key"), json(world, name).sealed, never)).toBe(await openWith(before.file("wallet.age-key"), json(before, name).sealed, never));
        expect(json(world, name).recipient).toBe(world.deployed().recipients.wallet);
      }
      expect(json(world, "seed.json").nodePublicKey).toBe(json(before, "seed.json").nodePublicKey);
    },
  },
};

/** Files of an environment that is at rest. */
const atRest = (world: World): string[] => [...readdirSync(world.places.state), ...readdirSync(world.places.project)].filter((name) => /next|previous|part|rotation/.test(name));

describe.each(Object.entries(kinds))("%s, killed", (_, { rotate, holds, access }) => {
  it("at any of its deeds, is completed by the same command, and leaves nothing behind", { timeout: 60_000 }, async () => {
    power.left = Infinity;
    const before = worldFrom(source, power);
    let cuts = 0;
    for (let deeds = 0; ; deeds += 1) {
      power.left = Infinity;
      const world = worldFrom(source, power);
      power.left = deeds;
      const ended = await rotate(world).then(() => "whole" as const, (error: unknown) => error);
      power.left = Infinity;
      if (ended !== "whole") {
        const error = ended as Error & { readonly cause?: unknown };
        expect(error instanceof PowerCut || error.cause instanceof PowerCut, `after ${deeds} deeds: ${error.stack}`).toBe(true);
        if (access !== undefined) expect(await access(world), `access after ${deeds} deeds`).toBe(true);
        await rotate(world).catch((again: Error) => { throw new Error(`after ${deeds} deeds: ${again.message} (at ${JSON.stringify(underway(world.places.state))}, said ${world.said.join(" | ")})`); });
        cuts += 1;
      }
      await holds(world, before);
      expect(underway(world.places.state)).toEqual([]);
      expect(atRest(world), `after ${deeds} deeds`).toEqual([]);
      world.remove();
      if (ended === "whole") break;
    }
    before.remove();
    expect(cuts).toBeGreaterThan(4);
  });
});
