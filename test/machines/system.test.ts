import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ensureDaemons } from "../../rehearsal/system/daemons/daemons.js";
import { cacheFolder } from "../../cli/places.js";
import type { Settings } from "../../formats/settings.js";
import { createMachine, deleteMachine, restartMachine } from "../../rehearsal/machines/machine.js";
import { BRIDGE_ADDRESS, namesOf } from "../../rehearsal/machines/names.js";
import { onBridge, removePlumbing } from "../../rehearsal/machines/plumbing.js";
import { generate, height, startChain, stopChain, type Chain } from "../../rehearsal/system/chain.js";
import { ensurePrograms } from "../../rehearsal/system/programs.js";

const cache = cacheFolder();
const system = fileURLToPath(new URL("../../rehearsal/system", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "holdfast-system-"));
const state = join(folder, "state");
const key = join(folder, "key");
const [name, address] = ["sys", "10.231.251.11"];
const report = (line: string): void => {
  if (process.env["VERBOSE"]) console.log(line);
};
let chain: Chain;
let settings: Settings;

/** Stands in for the agent: installs a fixed bundle; what runs for long, just runs. */
const agent = `
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
if (process.argv[2] === "install-secrets") {
  const folder = "/etc/nix-bitcoin-secrets.1";
  mkdirSync(folder, { recursive: true, mode: 0o751 });
  for (const { name, owner, content } of JSON.parse(readFileSync("/var/lib/holdfast/bundle.json", "utf8"))) {
    writeFileSync(folder + "/" + name, content, { mode: 0o440 });
    execFileSync("chown", [owner + ":" + owner, folder + "/" + name]);
  }
  if (!existsSync("/etc/nix-bitcoin-secrets")) symlinkSync(folder, "/etc/nix-bitcoin-secrets");
} else if (process.argv[2]) setInterval(() => {}, 1000);
`;

const ruleset = (comment: string): string => `table inet holdfast
delete table inet holdfast
table inet holdfast {
  chain input {
    type filter hook input priority filter; policy drop; comment "${comment}"
    iif lo accept
    ct state established,related accept
    tcp dport 22 accept
    iifname "wg-node" tcp dport 8080 accept
  }
}
`;

async function on(command: string, input?: string): Promise<{ readonly code: number | undefined; readonly said: string }> {
  const known = join(namesOf(state, name).folder, "known_hosts");
  const { exitCode, all } = await execa("ssh", ["-F", "none", "-i", key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", `UserKnownHostsFile=${known}`, `root@${address}`, "--", command], {
    input: input ?? "", reject: false, all: true, timeout: 120_000,
  });
  return { code: exitCode, said: all };
}
async function output(command: string, input?: string): Promise<string> {
  const { code, said } = await on(command, input);
  expect(code, `${command}: ${said}`).toBe(0);
  return said.trim();
}

/** Does what the install step does, and gives the toplevel. */
async function push(attribute: string, handed: Settings, flake = system): Promise<string> {
  const stage = mkdtempSync(join(folder, "stage-"));
  cpSync(flake, join(stage, "flake"), { recursive: true });
  mkdirSync(join(stage, "handover"));
  writeFileSync(join(stage, "handover/settings.json"), JSON.stringify(handed));
  writeFileSync(join(stage, "handover/agent.mjs"), agent);
  execFileSync("tar", ["-C", stage, "-cf", `${stage}.tar`, "flake", "handover"]);
  await execa("ssh", ["-F", "none", "-i", key, "-o", "BatchMode=yes", "-o", `UserKnownHostsFile=${join(namesOf(state, name).folder, "known_hosts")}`, `root@${address}`, "--",
    "rm -rf /var/lib/holdfast/sources && mkdir -p /var/lib/holdfast/sources && tar -x -C /var/lib/holdfast/sources"], { inputFile: `${stage}.tar`, timeout: 60_000 });
  return (await output(`nix --extra-experimental-features 'nix-command flakes' build --no-link --print-out-paths --no-write-lock-file 'path:/var/lib/holdfast/sources/flake#holdfastSystems.${attribute}' --override-input handover path:/var/lib/holdfast/sources/handover 2> /tmp/build.log || { cat /tmp/build.log >&2; exit 1; }`));
}
/** Another flake that imports the rehearsal's and changes its units. */
function variant(overrides: string): string {
  const flake = mkdtempSync(join(folder, "variant-"));
  cpSync(system, join(flake, "rehearsal"), { recursive: true });
  writeFileSync(join(flake, "flake.nix"), `{
    inputs.rehearsal.url = "path:./rehearsal";
    inputs.handover = { url = "path:./rehearsal/example"; flake = false; };
    inputs.rehearsal.inputs.handover.follows = "handover";
    outputs = { rehearsal, handover, ... }: rehearsal.lib.systems { inherit handover; overrides = units: ${overrides}; };
  }`);
  return flake;
}
const change = (toplevel: string, action: string): Promise<{ readonly code: number | undefined; readonly said: string }> => on(`${toplevel}/bin/switch-to-configuration ${action}`);
const active = async (...units: string[]): Promise<string[]> => (await on(`systemctl is-active -- ${units.join(" ")}`)).said.trim().split("\n");
const mainPids = (): Promise<string> => output("systemctl show --property=Id,MainPID,ActiveEnterTimestampMonotonic ssh.service bitcoind.service wireguard-wg-node.service holdfast-firewall.service");

beforeAll(async () => {
  execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", key]);
  const programs = (await ensurePrograms({ cache, daemonsFolder: (await ensureDaemons({ cache, report })).folder, report })).folder;
  chain = await onBridge(() => startChain({ state, programs, address: BRIDGE_ADDRESS, port: 19444, report }));
  await createMachine({ cache, state, name, address, authorizedKey: readFileSync(`${key}.pub`, "utf8"), programs, report });

  const wg = (command: string, input = ""): string => execFileSync("wg", [command], { input }).toString().trim();
  const [own, phone] = [wg("genkey"), wg("genkey")];
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=localhost/O=lnd", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-keyout", join(folder, "lnd.key"), "-out", join(folder, "lnd.cert")], { stdio: "ignore" });
  const file = (fileName: string, owner: string, content: string) => ({ name: fileName, owner, content });
  await output("mkdir -p /var/lib/holdfast && cat > /var/lib/holdfast/bundle.json", JSON.stringify([
    file("bitcoin-rpcpassword-privileged", "bitcoin", "abcdefghijklmnopqrst"), file("lnd-wallet-password", "lnd", "walletpassword123456"),
    file("lnd-key", "lnd", readFileSync(join(folder, "lnd.key"), "utf8")), file("lnd-cert", "lnd", readFileSync(join(folder, "lnd.cert"), "utf8")),
    file("wg-node-private-key", "root", own), file("wg-psk-phone", "root", wg("genpsk")),
  ]));
  const example = JSON.parse(readFileSync(join(system, "example/settings.json"), "utf8")) as Settings;
  settings = {
    ...example,
    place: { ...example.place, node: "alice" },
    authorizedKeys: [readFileSync(`${key}.pub`, "utf8").trim()],
    bitcoin: { ...example.bitcoin, peers: [chain.peer] },
    tunnel: { ...example.tunnel!, address: "10.231.201.1", publicKey: wg("pubkey", own), peers: [{ name: "phone", address: "10.231.201.2", publicKey: wg("pubkey", phone) }] },
    firewall: { policy: [], backend: "nftables", ruleset: ruleset("one") },
  };
}, 900_000);

afterAll(async () => {
  await deleteMachine(state, name, { forget: "generation" });
  await stopChain({ state, report, blocks: "delete" });
  await removePlumbing();
  rmSync(folder, { recursive: true });
}, 120_000);

describe("the rehearsal system", () => {
  let first = "";

  it("is built on the machine from what the product hands over, twice to the same path", async () => {
    first = await push("alice", settings);
    expect(first).toMatch(/^\/nix\/store\/[a-z0-9]{32}-rehearsal-alice$/);
    expect(await push("alice", settings)).toBe(first);
  });

  it("has units that systemd has nothing to say about", async () => {
    expect(await output(`systemd-analyze verify ${first}/etc/systemd/system/*.service ${first}/etc/systemd/system/*.target ${first}/etc/systemd/system/*.socket`)).toBe("");
  });

  it("says beforehand what a switch would do, and does none of it", async () => {
    const { code, said } = await change(first, "dry-activate");
    expect(code).toBe(0);
    expect(said).toContain("would restart the following units: ssh.service");
    expect(said).toMatch(/would start the following units: .*bitcoind\.service.*holdfast-firewall\.service/);
    expect(said).not.toMatch(/lnd|gate|identity/);
    expect(await output("ls /run/systemd/system")).not.toContain("bitcoind.service");
    expect((await change(first, "sideways")).code).toBe(1);
  });

  it("runs after `test`, with its identity closed", async () => {
    const { code, said } = await change(first, "test");
    expect(code, said).toBe(0);
    expect(await output("readlink /run/current-system")).toBe(first);
    expect(await active("ssh", "holdfast-secrets", "nix-bitcoin-secrets.target", "holdfast-firewall", "wireguard-wg-node", "bitcoind")).toEqual(Array(6).fill("active"));
    expect(await active("lnd", "lnd-unopened", "holdfast-gate", "holdfast-backup", "holdfast-identity.target")).toEqual(Array(5).fill("inactive"));
    expect(await output("cd /etc/nix-bitcoin-secrets && stat -c '%n %U %G %a' *")).toBe([
      "bitcoin-rpcpassword-privileged bitcoin bitcoin 440", "lnd-cert lnd lnd 440", "lnd-key lnd lnd 440", "lnd-wallet-password lnd lnd 440", "wg-node-private-key root root 440", "wg-psk-phone root root 440",
    ].join("\n"));
    expect(await output("wg show wg-node allowed-ips")).toBe(`${settings.tunnel!.peers[0]!.publicKey}\t10.231.201.2/32`);
    expect(await output("wg show wg-node public-key")).toBe(settings.tunnel!.publicKey);
    expect(await output("nft list table inet holdfast")).toContain("policy drop");
    expect(JSON.parse(await output("cat /etc/holdfast/settings.json"))).toEqual(settings);
    expect(await output("systemctl --failed --no-legend")).toBe("");
  });

  it("takes its blocks from the chain, and keeps them when btcd starts again", async () => {
    await generate(chain, 5);
    const synced = (blocks: number): Promise<string> => output(`
      client() { ${first}/sw/bin/btcctl --configfile=<(grep -E '^(\\[App|rpc(user|pass|cert)=)' /run/btcd/btcd.conf) --regtest "$@"; }
      for attempt in {1..100}; do [[ $(client getblockcount 2>&1) == ${blocks} ]] && exit; sleep 0.2; done
      client getblockcount; exit 1`);
    await synced(await height(chain));
    await output("systemctl stop btcd-peer-0.socket btcd-peer-0.service; systemctl restart bitcoind");
    await synced(await height(chain));
    await output("systemctl start btcd-peer-0.socket");
  }, 60_000);

  it("is gone after a restart, when it was only tested", async () => {
    await restartMachine(state, name, report);
    expect((await on("readlink /run/current-system")).code).toBe(1);
    expect(await output("systemctl show --property=FragmentPath --value ssh.service")).toBe("/usr/lib/systemd/system/ssh.service");
  });

  it("is what a restart brings up, after `switch`: the gate too, for which nothing waits", async () => {
    const { code, said } = await change(first, "switch");
    expect(code, said).toBe(0);
    expect(await active("holdfast-gate")).toEqual(["inactive"]);
    await restartMachine(state, name, report);
    expect(await output("timeout 20 systemctl is-system-running --wait")).toBe("running");
    expect(await output("readlink /run/current-system")).toBe(first);
    expect(await active("ssh", "holdfast-firewall", "wireguard-wg-node", "bitcoind", "holdfast-gate")).toEqual(Array(5).fill("active"));
  });

  it("reloads a changed firewall without a gap, and touches nothing else", async () => {
    const before = await mainPids();
    const second = await push("alice", { ...settings, firewall: { ...settings.firewall, ruleset: ruleset("two") } });
    const { code, said } = await change(second, "test");
    expect(said).toBe("reloading the following units: holdfast-firewall.service");
    expect(code).toBe(0);
    expect(await mainPids()).toBe(before);
    expect(await output("nft list table inet holdfast")).toContain('comment "two"');
  });

  it("keeps the firewall that it has when the new one is wrong, and says so", async () => {
    const wrong = await push("alice", { ...settings, firewall: { ...settings.firewall, ruleset: ruleset("three").replace("dport 22", "dport ssh-and-more") } });
    const { code, said } = await change(wrong, "test");
    expect(code).toBe(4);
    expect(said).toContain("the following units failed: holdfast-firewall.service");
    expect(await output("nft list table inet holdfast")).toContain('comment "two"');
  });

  it("exits with 2 when activation itself fails, and starts its units all the same", async () => {
    await output("mv /etc/holdfast /etc/holdfast.away && touch /etc/holdfast");
    const { code, said } = await change(first, "test");
    await output("rm /etc/holdfast && mv /etc/holdfast.away /etc/holdfast");
    expect(code, said).toBe(2);
    expect(await output("nft list table inet holdfast")).toContain('comment "one"');
    expect((await change(first, "test")).code).toBe(0);
  });

  it("changes peers on the running interface", async () => {
    const before = await mainPids();
    const renamed = { ...settings, tunnel: { ...settings.tunnel!, peers: settings.tunnel!.peers.map((peer) => ({ ...peer, address: "10.231.201.77" })) } };
    const { code, said } = await change(await push("alice", renamed), "test");
    expect(code, said).toBe(0);
    expect(said).toBe("reloading the following units: wireguard-wg-node.service");
    expect(await mainPids()).toBe(before);
    expect(await output("wg show wg-node allowed-ips")).toContain("10.231.201.77/32");
  });

  it("replaces its sshd under the session that asks for it", async () => {
    const changed = variant(`units // { "ssh.service" = units."ssh.service" // { Unit = units."ssh.service".Unit // { Documentation = "man:sshd(8)"; }; }; }`);
    const { code, said } = await change(await push("alice", settings, changed), "test");
    expect(code, said).toBe(0);
    expect(said).toContain("restarting the following units: ssh.service");
  });

  it("names the unit that failed and exits with 4, and goes back", async () => {
    const broken = await push("alice", settings, variant(`units // { "bitcoind.service" = units."bitcoind.service" // { Service = units."bitcoind.service".Service // { ExecStart = "/usr/bin/false"; }; }; }`));
    const { code, said } = await change(broken, "test");
    expect(code).toBe(4);
    expect(said).toContain("the following units failed: bitcoind.service");
    const back = await change(first, "test");
    expect(back.code, back.said).toBe(0);
    expect(await active("bitcoind")).toEqual(["active"]);
  });

  it("finishes what a killed switch has left", async () => {
    const second = await push("alice", { ...settings, bitcoin: { ...settings.bitcoin, rpcUser: "another" } });
    await on(`${second}/bin/switch-to-configuration test & while ! grep -q ${second} <(readlink /run/systemd/system/bitcoind.service); do sleep 0.002; done; kill -9 $!; wait $!`);
    expect((await change(second, "test")).code).toBe(0);
    expect(await output("cat /run/btcd/btcd.conf")).toContain("rpcuser=another");
    expect((await change(first, "test")).code).toBe(0);
  });

  it("works alone, and is not held up by one that died", async () => {
    const { code, said } = await on(`flock /run/rehearsal/switch.lock ${first}/bin/switch-to-configuration test`);
    expect(code).toBe(1);
    expect(said).toContain("another one is at work");
    await on("flock /run/rehearsal/switch.lock sleep 60 & sleep 0.2; kill -9 $(pgrep -x sleep)");
    expect((await change(first, "test")).code).toBe(0);
  });

  it("has an lnd that wants a wallet, and another that the gate can make one with", async () => {
    const lnd = await on("systemctl start lnd.service; journalctl -u lnd -n 20 -o cat");
    expect(lnd.said).toContain("There is no wallet at /var/lib/lnd/data/chain/bitcoin/regtest/wallet.db");
    await output("systemctl stop lnd; systemctl start lnd-unopened.service");
    const ask = async (path: string, body?: string): Promise<string> => {
      const [options, input] = body === undefined ? ["", undefined] : ["--data @-", body];
      return output(`curl --silent --show-error --cacert /etc/nix-bitcoin-secrets/lnd-cert ${options} https://127.0.0.1:8080${path}`, input);
    };
    expect(JSON.parse(await ask("/v1/state"))).toEqual({ state: "NON_EXISTING" });
    expect(await output("ss -Hltn '! src 127.0.0.0/8'")).not.toMatch(/:(8080|9735|10009) /);
    const { cipher_seed_mnemonic } = JSON.parse(await ask("/v1/genseed")) as { cipher_seed_mnemonic: string[] };
    await ask("/v1/initwallet", JSON.stringify({ cipher_seed_mnemonic, wallet_password: Buffer.from("walletpassword123456").toString("base64") }));

    await output("systemctl start holdfast-identity.target");
    expect(await active("lnd", "holdfast-backup", "lnd-unopened")).toEqual(["active", "active", "inactive"]);
    const listening = await output("ss -Hltn");
    for (const where of ["127.0.0.1:8080", "10.231.201.1:8080", "*:9735", "127.0.0.1:10009"]) expect(listening).toContain(where);
    expect(await output("stat -c '%U %a' /run/lnd/lnd.conf")).toBe("lnd 600");
  });

  it("leaves open daemons alone when a switch changes them", async () => {
    const before = await output("systemctl show --property=MainPID lnd holdfast-backup");
    const { code, said } = await change(await push("alice", { ...settings, lightning: { ...settings.lightning, alias: 'a new "alias" # here' } }), "test");
    expect(code, said).toBe(0);
    expect(await output("systemctl show --property=MainPID lnd holdfast-backup")).toBe(before);
    await output("systemctl restart lnd");
    expect(await output(`/run/current-system/sw/bin/lncli --macaroonpath=/var/lib/lnd/data/chain/bitcoin/regtest/readonly.macaroon --tlscertpath=/etc/nix-bitcoin-secrets/lnd-cert getinfo | grep alias`)).toContain('a new \\"alias\\" # here');
  });

  it("becomes a bare Debian with SSH again", async () => {
    const { code, said } = await on("$(readlink -f /run/current-system/base)/bin/switch-to-configuration switch");
    expect(code, said).toBe(0);
    expect(await output("nft list tables; ip -oneline link show | grep -c wg-node || true")).toBe("0");
    expect(await output("systemctl show --property=FragmentPath --value ssh.service")).toBe("/usr/lib/systemd/system/ssh.service");
    expect(await output("ls /run/systemd/system/*.service 2>/dev/null; systemctl --failed --no-legend; true")).toBe("");
    expect(await active("lnd", "bitcoind", "holdfast-identity.target")).toEqual(["inactive", "inactive", "inactive"]);
    await restartMachine(state, name, report);
    expect(await output("timeout 20 systemctl is-system-running --wait")).toBe("running");
  });
});
