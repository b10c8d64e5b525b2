import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { settingsSchema } from "../../../formats/settings.js";
import { announceMissing, nixFolder, sourceInCache, sources } from "./evaluate.js";
import { exampleHandover, outputsOf, withHandover } from "./flakeOutputs.js";

interface Reference { type: string; owner?: string; repo?: string; ref?: string; rev?: string; narHash?: string; lastModified?: number; path?: string }
interface Node { inputs?: Record<string, string | string[]>; locked?: Reference; original?: Reference; flake?: boolean }
interface Lock { nodes: Record<string, Node>; root: string; version: number }
interface Input { url?: string; follows?: string; flake?: boolean; inputs?: Record<string, Input> }

const readLock = (path: string) => JSON.parse(readFileSync(path, "utf8")) as Lock;
const lock = readLock(join(nixFolder, "flake.lock"));
const root = lock.nodes[lock.root]!;
const quick = { timeout: 30_000, stdin: "ignore" } as const;
const nix = (...command: string[]) => execa("nix", ["--extra-experimental-features", "nix-command flakes", ...command], quick);

/** A clean checkout of a locked source: where a variable says, or in the cache by its name in the lock. */
const checkoutOf = (name: string): string => ({ "nix-bitcoin": sources.nixBitcoin, disko: sources.disko })[name] ?? sourceInCache(name);

/** Inputs whose folder is not what the lock says. */
async function wrongHashes(folders: Readonly<Record<string, string>>): Promise<string[]> {
  const checked = Object.entries(folders).map(async ([name, folder]) => ((await nix("hash", "path", folder)).stdout === lock.nodes[name]!.locked!.narHash ? [] : [name]));
  return (await Promise.all(checked)).flat();
}

/** As flake.lock writes a reference: `github:owner/repo/ref`, `path:./folder`. */
const urlOf = ({ type, owner, repo, ref, path }: Reference) => (type === "github" ? `github:${[owner, repo, ref].filter((part) => part !== undefined).join("/")}` : `${type}:${path}`);
const nodeOf = (input: string | string[]): Node => {
  if (typeof input === "string") return lock.nodes[input]!;
  return input.reduce((node, name) => nodeOf(node.inputs![name]!), root);
};

describe.skipIf(announceMissing())("nix/flake.lock", () => {
  it("has exactly the inputs of flake.nix, from where flake.nix says", async () => {
    const { stdout } = await execa("nix-instantiate", ["--eval", "--strict", "--json", "--readonly-mode", "--expr", `(import ${nixFolder}/flake.nix).inputs`], quick);
    const inputs = JSON.parse(stdout) as Record<string, Input>;
    expect(Object.keys(root.inputs!).sort()).toEqual(Object.keys(inputs).sort());
    for (const [name, input] of Object.entries(inputs)) {
      const node = nodeOf(root.inputs![name]!);
      expect(urlOf(node.original!), name).toBe(input.url);
      expect(node.flake ?? true, name).toBe(input.flake ?? true);
      for (const [inner, { follows }] of Object.entries(input.inputs ?? {})) expect(node.inputs![inner], `${name}/${inner}`).toEqual(follows!.split("/"));
    }
  });

  it("pins each source by revision and hash, names no source that nobody uses, and none that is missing", () => {
    const used = new Set([lock.root]);
    for (const name of used) for (const input of Object.values(lock.nodes[name]!.inputs ?? {})) if (typeof input === "string") used.add(input);
    expect([...used].sort()).toEqual(Object.keys(lock.nodes).sort());
    expect(lock.version).toBe(7);
    for (const [name, { locked, inputs }] of Object.entries(lock.nodes)) {
      for (const input of Object.values(inputs ?? {})) expect(nodeOf(input).locked, `${name}: ${String(input)}`).toBeDefined();
      if (name === lock.root) continue;
      expect(locked!.narHash, name).toMatch(/^sha256-[A-Za-z0-9+/]{43}=$/);
      expect(locked!.lastModified, name).toBeGreaterThan(0);
      if (locked!.type === "github") expect(locked!.rev, name).toMatch(/^[0-9a-f]{40}$/);
    }
  });

  it("has the hash of the example, recomputed", async () => {
    expect(await wrongHashes({ handover: exampleHandover }), "nix/example has changed: put its hash (`nix hash path nix/example`) into nix/flake.lock").toEqual([]);
  });

  it.for(Object.keys(lock.nodes).filter((name) => name !== lock.root && name !== "handover"))("has the hash of %s's sources, recomputed", async (name, { skip }) => {
    const checkout = checkoutOf(name);
    if (!existsSync(checkout)) {
      process.stderr.write(`The hash of ${name} in nix/flake.lock is not recomputed here: there is no checkout of ${lock.nodes[name]!.locked!.rev} at ${checkout}.\n`);
      skip();
    }
    expect(await wrongHashes({ [name]: checkout })).toEqual([]);
  });

  it("with a hash of other sources would be seen", async () => {
    await withHandover((folder) => writeFile(join(folder, "agent.mjs"), "another byte"), async (folder) => expect(await wrongHashes({ handover: folder })).toEqual(["handover"]));
    expect(await wrongHashes({ disko: sources.nixBitcoin })).toEqual(["disko"]);
  });

  it("has what nix-bitcoin's own lock pins, for all that it does not take from us", () => {
    const theirs = readLock(join(sources.nixBitcoin, "flake.lock"));
    for (const name of ["extra-container", "flake-utils", "systems", "nixpkgs-25_05"]) expect(lock.nodes[name]!.locked, name).toEqual(theirs.nodes[name]!.locked);
  });

  it("is complete to Nix itself: without a network, it has nothing to add", async () => {
    const folder = await mkdtemp(join(tmpdir(), "holdfast-flake-"));
    try {
      const { stdout } = await nix("flake", "metadata", "--json", "--offline", "--no-update-lock-file", "--store", join(folder, "store"), `path:${nixFolder}`);
      expect((JSON.parse(stdout) as { locks: { nodes: Record<string, unknown> } }).locks.nodes).toHaveProperty("nix-bitcoin");
    } finally {
      await execa("chmod", ["-R", "u+w", folder], quick);
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe.skipIf(announceMissing())("nix/flake.nix", () => {
  it("makes the node of its handover, on either platform, where `nix build` looks first", async () => {
    const toplevel = expect.stringMatching(/-nixos-system$/) as string;
    const on = (hostPlatform: string) => ({ example: { hostName: "example", hostPlatform, fileSystems: [] } });
    expect(await outputsOf(exampleHandover)).toMatchObject({
      nixosConfigurations: on("x86_64-linux"),
      legacyPackages: {
        "x86_64-linux": { nixosConfigurations: on("x86_64-linux"), holdfastSystems: { example: toplevel } },
        "aarch64-linux": { nixosConfigurations: on("aarch64-linux"), holdfastSystems: { example: toplevel } },
      },
    });
  });

  it("takes the hardware configuration of a host that keeps its disks", async () => {
    const hardware = `{ fileSystems."/" = { device = "/dev/disk/by-label/nixos"; fsType = "ext4"; }; }`;
    const outputs = await withHandover((folder) => writeFile(join(folder, "hardware-configuration.nix"), hardware), outputsOf);
    expect(outputs).toMatchObject({ nixosConfigurations: { example: { fileSystems: ["/"] } } });
  });

  it("refuses settings of another version of Holdfast, and says what to do", async () => {
    const change = async (folder: string) => writeFile(join(folder, "settings.json"), (await readExample()).replace("holdfast-settings/1", "holdfast-settings/9"));
    await expect(withHandover(change, outputsOf)).rejects.toThrow(/holdfast-settings\/9.*Use the flake of the same version/s);
  });

  it("shows itself with an example that the stack could have handed over", async () => {
    const parsed = settingsSchema.parse(JSON.parse(await readExample()));
    expect(parsed).toEqual(JSON.parse(await readExample()));
  });

  it("names nothing outside its folder, which is all that reaches a host", () => {
    const outside = nixFiles(nixFolder).flatMap((file) =>
      [...readFileSync(file, "utf8").matchAll(/(?<![\w"/])\.\.\/[\w./-]*/g)].map(([path]) => resolve(dirname(file), path)).filter((path) => !path.startsWith(`${nixFolder}/`)));
    expect(outside).toEqual([]);
  });
});

describe.skipIf(announceMissing() !== undefined || !existsSync(join(sources.disko, "flake.nix")))("nix/flake.nix, to Nix itself, without a network,", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "holdfast-flake-"));
    await cp(sources.library, join(folder, "nixpkgs/source"), { recursive: true });
    await cp(join(nixFolder, "checks"), join(folder, "nixpkgs/checks"), { recursive: true });
    await writeFile(join(folder, "nixpkgs/flake.nix"), "{ outputs = _: import ./checks/nixpkgs.nix { lib = ./source; }; }");
    await mkdir(join(folder, "nothing"));
    await writeFile(join(folder, "nothing/flake.nix"), "{ outputs = _: { lib.eachSystem = _: _: { }; }; }");
  });
  afterAll(async () => {
    await execa("chmod", ["-R", "u+w", folder], quick);
    await rm(folder, { recursive: true, force: true });
  });

  /** Evaluates an output purely: the flakes of nix-bitcoin and disko are the real ones, and for nixpkgs and what nobody asks there are stand-ins. */
  async function output(name: string, apply: string, handover = exampleHandover): Promise<unknown> {
    const inputs = {
      nixpkgs: `${folder}/nixpkgs`, "nixpkgs-unstable": `${folder}/nixpkgs`, "nix-bitcoin/nixpkgs-25_05": `${folder}/nixpkgs`, "nix-bitcoin/flake-utils": `${folder}/nothing`, "nix-bitcoin/extra-container": `${folder}/nothing`,
      "nix-bitcoin": sources.nixBitcoin, disko: sources.disko, handover,
    };
    const { stdout } = await nix("eval", "--offline", "--no-write-lock-file", "--json", "--store", join(folder, "store"), "--option", "allow-import-from-derivation", "false",
      ...Object.entries(inputs).flatMap(([input, path]) => ["--override-input", input, `path:${path}`]), `path:${nixFolder}#${name}`, "--apply", apply);
    return JSON.parse(stdout);
  }

  it("makes a node that NixOS would accept, of nix-bitcoin's and disko's own flakes", async () => {
    const { failing, units, layout } = (await output("nixosConfigurations.example.config", `config: {
      failing = map (one: one.message) (builtins.filter (one: !one.assertion) config.assertions); units = builtins.attrNames config.systemd.units; layout = builtins.attrNames config.disko.devices.disk;
    }`)) as { failing: string[]; units: string[]; layout: string[] };
    expect(failing).toEqual([]);
    expect(units).toEqual(expect.arrayContaining(["bitcoind.service", "lnd.service", "holdfast-gate.service"]));
    expect(layout.length).toBeGreaterThan(0);
  });

  it("finds the system where the install step asks for it, and the tests", async () => {
    expect(await output("holdfastSystems", "builtins.attrNames")).toEqual(["example"]);
    expect(await output("checks.x86_64-linux", "builtins.attrNames")).toEqual(["firewall", "identity", "rollback", "secrets", "wireguard"]);
  });

  it("reads nothing that it was not given: no file of the machine", async () => {
    const reading = (expression: string) => withHandover((path) => writeFile(join(path, "hardware-configuration.nix"), `{ networking.hostName = builtins.readFile ${expression}; }`), (path) => output("nixosConfigurations.example.config", "config: config.networking.hostName", path));
    await expect(reading(`"/etc/hostname"`)).rejects.toThrow(/pure evaluation|forbidden in pure/);
  });
});

const readExample = async () => readFileSync(join(nixFolder, "example/settings.json"), "utf8");
const nixFiles = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? nixFiles(path) : path.endsWith(".nix") ? [path] : [];
  });

describe.skipIf(announceMissing())("every file of nix/", () => {
  it("is Nix", async () => {
    await execa("nix-instantiate", ["--parse", ...nixFiles(nixFolder)], quick);
  });
});
