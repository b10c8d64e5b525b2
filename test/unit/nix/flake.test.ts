import { existsSync, readdirSync, readFileSync } from "node:fs";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { settingsSchema } from "../../../formats/settings.js";
import { announceMissing, nixFolder, sources } from "./evaluate.js";

interface Reference { type: string; owner?: string; repo?: string; ref?: string; rev?: string; narHash?: string; lastModified?: number; path?: string }
interface Node { inputs?: Record<string, string | string[]>; locked?: Reference; original?: Reference; flake?: boolean }
interface Lock { nodes: Record<string, Node>; root: string; version: number }
interface Input { url?: string; follows?: string; flake?: boolean; inputs?: Record<string, Input> }

const readLock = (path: string) => JSON.parse(readFileSync(path, "utf8")) as Lock;
const lock = readLock(join(nixFolder, "flake.lock"));
const root = lock.nodes[lock.root]!;
const quick = { timeout: 30_000, stdin: "ignore" } as const;
const nix = (...command: string[]) => execa("nix", ["--extra-experimental-features", "nix-command flakes", ...command], quick);
const hash = async (folder: string) => (await nix("hash", "path", folder)).stdout;

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

  it("has the hash of nix-bitcoin's sources, recomputed, and of the example", async () => {
    expect(await hash(sources.nixBitcoin)).toBe(lock.nodes["nix-bitcoin"]!.locked!.narHash);
    expect(await hash(join(nixFolder, "example")), "nix/example has changed: put its hash (`nix hash path nix/example`) into nix/flake.lock").toBe(lock.nodes["handover"]!.locked!.narHash);
  });

  it.skipIf(!existsSync(sources.disko))("has the hash of disko's sources, recomputed", async () => {
    expect(await hash(sources.disko)).toBe(lock.nodes["disko"]!.locked!.narHash);
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

/** What flake.nix makes of a handover, with stand-ins for its inputs. */
async function outputsOf(handover: string): Promise<unknown> {
  const { stdout } = await execa("nix-instantiate", [
    "--eval", "--strict", "--json", "--readonly-mode", join(nixFolder, "checks/flakeOutputs.nix"),
    "--arg", "lib", sources.library, "--arg", "nixBitcoin", sources.nixBitcoin, "--arg", "handover", handover,
  ], quick);
  return JSON.parse(stdout);
}

async function withHandover<T>(change: (folder: string) => Promise<void>, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "holdfast-handover-"));
  try {
    await cp(join(nixFolder, "example"), folder, { recursive: true });
    await change(folder);
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

describe.skipIf(announceMissing())("nix/flake.nix", () => {
  it("makes the node of its handover, on either platform, where `nix build` looks first", async () => {
    const toplevel = expect.stringMatching(/-nixos-system$/) as string;
    const on = (hostPlatform: string) => ({ example: { hostName: "example", hostPlatform, fileSystems: [] } });
    expect(await outputsOf(join(nixFolder, "example"))).toMatchObject({
      nixosConfigurations: on("x86_64-linux"),
      legacyPackages: {
        "x86_64-linux": { nixosConfigurations: on("x86_64-linux"), holdfastSystems: { example: toplevel } },
        "aarch64-linux": { nixosConfigurations: on("aarch64-linux"), holdfastSystems: { example: toplevel } },
      },
    });
  });

  it("has tests for virtual machines, of systems that NixOS would accept and in Python that Python reads", async () => {
    const { checks } = (await outputsOf(join(nixFolder, "example"))) as { checks: Record<string, { testScript: string; machines: Record<string, { assertions: string[] }> }> };
    expect(Object.keys(checks).sort()).toEqual(["firewall", "identity", "rollback", "secrets", "wireguard"]);
    for (const [name, { testScript, machines }] of Object.entries(checks)) {
      expect(Object.values(machines).flatMap(({ assertions }) => assertions), name).toEqual([]);
      await execa("python3", ["-c", "import ast, sys; ast.parse(sys.stdin.read())"], { input: testScript, timeout: 10_000 });
    }
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

  it("imports nothing that has to be built first", () => {
    expect(nixFiles(nixFolder).filter((file) => /import \(?pkgs\.|readFile \(?"?\$?\{?pkgs\./.test(readFileSync(file, "utf8")))).toEqual([]);
  });

  const deadnix = join(process.env["HOLDFAST_CACHE"] ?? `${process.env["HOME"]}/.cache/holdfast`, "nix-tools/bin/deadnix");
  it.skipIf(!existsSync(deadnix))("declares nothing that it does not use", async () => {
    const { stdout } = await execa(deadnix, ["--fail", "--output-format", "json", nixFolder], { ...quick, reject: false });
    expect(stdout).toBe("");
  });
});
