import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { announceMissing, evaluate, sources } from "./evaluate.js";
import { refusals, stackNode } from "./stackNode.js";

const node = stackNode({ services: ["bitcoind", "lnd", "joinmarket", "wireguard", "offsite-backup"] });
const makesWallets = /jm-genwallet|jm-wallet-seed|recovery_seed/;

describe.skipIf(announceMissing())("JoinMarket", () => {
  it("makes no wallet and no seed: nix-bitcoin's script for that is nowhere on the node", async () => {
    const { units, files, assertions } = await evaluate(node);
    expect(assertions).toEqual([]);
    expect(units["joinmarket.service"]!.postStart).not.toMatch(makesWallets);
    for (const { text, path } of files) expect(text, path).not.toMatch(makesWallets);
    expect(readFileSync(join(sources.nixBitcoin, "modules/joinmarket.nix"), "utf8")).toMatch(makesWallets);
  });

  it("tells its operator how to make one, and has bitcoind watch its addresses without a key", async () => {
    const script = (await evaluate(node)).units["joinmarket.service"]!.postStart!;
    const folder = mkdtempSync(join(tmpdir(), "holdfast-joinmarket-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const asked = join(folder, "asked");
    writeFileSync(join(folder, "bitcoin-cli"), `#!/bin/bash\necho "$@" >> ${asked}\n`, { mode: 0o755 });
    const run = (): string => execFileSync("bash", ["-e"], { input: script.replaceAll("/var/lib/joinmarket", folder).replaceAll(/\/nix\/store\/\S+\/bitcoin-cli/g, join(folder, "bitcoin-cli")).concat("\n"), encoding: "utf8", stdio: ["pipe", "pipe", "pipe"] });
    expect(run()).toContain("Create watch-only wallet");
    expect(readFileSync(asked, "utf8")).toMatch(/createwallet wallet_name=jm_wallet .*disable_private_keys=true/);
    expect(script).toContain("jm-wallet-tool generate, or jm-wallet-tool recover");
    expect(existsSync(join(folder, "wallets"))).toBe(false);
    mkdirSync(join(folder, "wallets"));
    writeFileSync(join(folder, "wallets/wallet.jmdat"), "");
    expect(run()).toBe("");
  });

  it("is refused where it would offer coins by itself", async () => {
    expect(refusals(await evaluate(node, "{ services.joinmarket.yieldgenerator.enable = true; }"))).toEqual([
      "services.joinmarket.yieldgenerator is on: it would offer coins as soon as the node boots, from a wallet that no gate looks at, on two hosts at once after a rebuild.",
    ]);
  });
});

describe.skipIf(announceMissing())("other services that could invent an identity", () => {
  it("do not: elementsd, Loop and BTCPay run nothing that makes a wallet", async () => {
    const { units } = await evaluate(stackNode({ services: ["bitcoind", "lnd", "lightning-loop", "liquidd", "btcpayserver", "wireguard", "offsite-backup"] }));
    for (const unit of ["liquidd", "lightning-loop", "btcpayserver", "nbxplorer", "bitcoind"]) {
      const { preStart = "", postStart = "", script = "", text } = units[`${unit}.service`]!;
      expect([preStart, postStart, script, text].join("\n"), unit).not.toMatch(/createwallet|genwallet|gen-seed/);
    }
  });
});
