import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { announceMissing, evaluate, nixFolder, sources } from "./evaluate.js";
import { nodeWith } from "./nodes.js";
import { refusals, stackNode } from "./stackNode.js";

const folder = join(nixFolder, "modules");
const modules = readdirSync(folder).sort();
const readme = (module: string): string => readFileSync(join(folder, module, "README.md"), "utf8");

/** Every option of ours, as a line of its module's README: its name, its default, what it means. */
const OPTIONS = `{ lib, options, ... }: { environment.etc.shown.text = builtins.toJSON (lib.mapAttrs (_: module: map (option: {
  name = lib.concatStringsSep "." option.loc;
  description = option.description or "";
  internal = option.internal or false;
  default = if option ? defaultText then option.defaultText.text or option.defaultText else if option ? default then builtins.toJSON option.default else "";
}) (lib.collect lib.isOption module)) options.holdfast); }`;
interface Option { readonly name: string; readonly description: string; readonly internal: boolean; readonly default: string }
const row = ({ name, description, default: value }: Option): string => `| \`${name}\` | ${value === "" ? "" : `\`${value}\``} | ${description.trim()} |`;

describe("a module's folder", () => {
  it.each(modules)("has a module, a README and tests that it names: %s", (module) => {
    expect(existsSync(join(folder, module, "default.nix"))).toBe(true);
    const tests = [...(/^Tests: (.*)$/m.exec(readme(module))?.[1] ?? "").matchAll(/`([^`]+)`/g)].map(([, path]) => path!);
    expect(tests.length, `${module}/README.md wants a line "Tests: \`test/unit/nix/…\`"`).toBeGreaterThan(0);
    for (const path of tests) expect(existsSync(join(nixFolder, "..", path)), path).toBe(true);
  });
});

describe.skipIf(announceMissing())("a module's README", () => {
  it("tells of every option its default and what it means, as the module does", async () => {
    const { etc } = await evaluate(stackNode(), OPTIONS);
    const shown = JSON.parse(etc["shown"]!.text!) as Record<string, Option[]>;
    const lacking = modules.flatMap((module) => (shown[module] ?? []).filter((option) => !option.internal && !readme(module).includes(row(option))).map((option) => `${module}: ${row(option)}`));
    expect(lacking).toEqual([]);
    expect(Object.keys(shown).filter((module) => module !== "disks").sort()).toEqual(modules);
  });
});

describe.skipIf(announceMissing())("a module refuses", () => {
  it.each<[string, string, RegExp]>([
    ["a backup of an LND that is not there", "{ lib, ... }: { services.lnd.enable = lib.mkForce false; }", /holdfast\.backup sends LND's channel\.backup off-site, and LND is not on this node\.\nPut lnd among/],
    ["a system that nobody could commit", "{ lib, ... }: { nix.enable = lib.mkForce false; }", /nix\.enable is off: without nix-env.*\nTurn nix\.enable on/],
    ["a gate before a Core Lightning that is not there", "{ lib, ... }: { holdfast.cln-identity.enable = lib.mkForce true; }", /holdfast\.cln-identity guards Core Lightning, and services\.clightning is off\.\nTurn it on/],
    ["users that come too late for the secrets", "{ lib, ... }: { options.systemd.sysusers.enable = lib.mkOption { default = true; }; }", /systemd\.sysusers, services\.userborn or system\.etc\.overlay is on/],
  ])("%s", async (_, extra, message) => {
    expect((await evaluate(nodeWith(), extra)).assertions.join("\n")).toMatch(message);
  });

  it("a nix-bitcoin that prepares LND or JoinMarket in another way than the one that it cuts short", async () => {
    const other = mkdtempSync(join(tmpdir(), "holdfast-nix-bitcoin-"));
    onTestFinished(() => rmSync(other, { recursive: true }));
    const known = sources.nixBitcoin;
    onTestFinished(() => void (sources.nixBitcoin = known));
    cpSync(known, other, { recursive: true, filter: (path) => !path.endsWith(".git") });
    for (const [file, from, to] of [["lnd", "if [[ ! -f ${networkDir}/wallet.db ]]; then", "if ! test -f ${networkDir}/wallet.db; then"], ["joinmarket", "# Restore wallet from seed if available", "# Recover"]] as const) {
      const path = join(other, `modules/${file}.nix`);
      expect(readFileSync(path, "utf8")).toContain(from);
      writeFileSync(path, readFileSync(path, "utf8").replace(from, to));
    }
    sources.nixBitcoin = other;
    const { units, ...evaluated } = await evaluate(stackNode({ services: ["bitcoind", "lnd", "joinmarket", "wireguard", "offsite-backup"] }));
    expect(refusals({ units, ...evaluated }).sort()).toEqual([
      "This nix-bitcoin's modules/joinmarket.nix makes JoinMarket's wallet in another way than the one that holdfast.services knows how to cut short.",
      "This nix-bitcoin's modules/lnd.nix prepares LND in another way than the one that holdfast.lnd-identity knows how to cut short before it generates a seed.",
    ]);
    expect(units["lnd.service"]!.preStart).not.toContain("lndinit");
    expect(units["joinmarket.service"]!.postStart).not.toContain("jm-genwallet");
  });
});
