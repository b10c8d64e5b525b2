import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rekeyCommand, welcome } from "../../../../components/host/welcome.js";
import { opensshKeys } from "../../../../components/secrets/openssh.js";

const [first, own, stranger] = ["first", "own", "stranger"].map((name) => opensshKeys("r".repeat(64), name)) as [ReturnType<typeof opensshKeys>, ReturnType<typeof opensshKeys>, ReturnType<typeof opensshKeys>];
const firstContact = { user: "root", address: "10.231.192.7", port: 22, hostKey: first.publicKey };
const PATH = process.env["PATH"];
let folder: string;

/** An ssh that behaves as one to a host that has the key in the file `key`: takes another one from stdin, and is away for as many calls as stand in `away`. */
const SSH = `#!/bin/sh
for one in "$@"; do case "$one" in UserKnownHostsFile=*) known="\${one#*=}";; esac; last="$one"; done
echo "$last" >> FOLDER/calls
away=$(cat FOLDER/away 2>/dev/null || echo 0)
if [ "$away" -gt 0 ]; then echo $((away - 1)) > FOLDER/away; echo "connect to host: Connection refused" >&2; exit 255; fi
if ! grep -qF "$(cut -d ' ' -f 2 FOLDER/key)" "$known"; then echo "Host key verification failed." >&2; exit 255; fi
[ -e FOLDER/broken ] && { echo "disk full" >&2; exit 1; }
if [ "$last" != true ]; then cat > FOLDER/got; cp FOLDER/next FOLDER/key; fi
`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "holdfast-welcome-"));
  writeFileSync(join(folder, "ssh"), SSH.replaceAll("FOLDER", folder));
  chmodSync(join(folder, "ssh"), 0o755);
  writeFileSync(join(folder, "next"), own.publicKey);
  process.env["PATH"] = [folder, PATH].join(delimiter);
});
afterEach(() => {
  process.env["PATH"] = PATH;
  rmSync(folder, { recursive: true, force: true });
});
const hasKey = ({ publicKey }: { readonly publicKey: string }): void => writeFileSync(join(folder, "key"), publicKey);
const calls = (): string[] => readFileSync(join(folder, "calls"), "utf8").trim().split("\n");

describe("a new server", () => {
  it("is waited for, and given its own key by way of stdin alone, over the key that it was created with", async () => {
    hasKey(first);
    writeFileSync(join(folder, "away"), "2");
    expect(await welcome({ firstContact, own }, 10_000, 5)).toEqual({ hostKey: own.publicKey });
    expect(readFileSync(join(folder, "got"), "utf8")).toBe(own.privateKey);
    expect(calls()).toEqual(["true", "true", "true", rekeyCommand, "true"]);
  });

  it("is left alone when it has its own key already", async () => {
    hasKey(own);
    expect(await welcome({ firstContact, own }, 10_000, 5)).toEqual({ hostKey: own.publicKey });
    expect(calls()).toEqual(["true"]);
  });

  it("is sent nothing when it has neither key", async () => {
    hasKey(stranger);
    await expect(welcome({ firstContact, own }, 10_000, 5)).rejects.toThrow(/has neither the key that this server was created with nor its own. Nothing was sent/);
    expect(existsSync(join(folder, "got"))).toBe(false);
  });

  it("that does not take its key ends the step with what it said", async () => {
    hasKey(first);
    writeFileSync(join(folder, "broken"), "");
    await expect(welcome({ firstContact, own }, 10_000, 5)).rejects.toThrow(/did not take its own host key: .*disk full/);
  });

  it("that never answers ends the step at its deadline, with what to do", async () => {
    hasKey(first);
    writeFileSync(join(folder, "away"), "100000");
    await expect(welcome({ firstContact, own }, 300, 5)).rejects.toThrow(/did not let us in within 0 seconds: connect to host: Connection refused\nIts console.*raise host\.hetzner\.generation/s);
  });

  it("keeps no other host key, and nothing of the key in an argument", () => {
    expect(rekeyCommand).toContain("rm -f ssh_host_rsa_key*");
    expect(rekeyCommand).not.toContain("PRIVATE");
  });
});
