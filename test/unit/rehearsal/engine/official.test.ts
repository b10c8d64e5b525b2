import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checksumIn, installRelease, releasesReachable, type Release } from "../../../../rehearsal/engine/official.js";

const ARCHIVE = "pulumi-v3.250.0-linux-x64.tar.gz";
const asked: string[] = [];
let files: Record<string, Buffer | string> = {};
let server: Server;
let releases: string;
let folder: string;
let archive: Buffer;

beforeAll(async () => {
  server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const content = files[request.url!.slice(1)];
    response.writeHead(content === undefined ? 404 : 200).end(content);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  releases = `http://127.0.0.1:${address.port}`;
  const made = mkdtempSync(join(tmpdir(), "holdfast-archive-"));
  mkdirSync(join(made, "pulumi"));
  writeFileSync(join(made, "pulumi", "pulumi"), "#!/bin/sh\necho v3.250.0\n", { mode: 0o755 });
  archive = execFileSync("tar", ["-cz", "-C", made, "pulumi"]);
  rmSync(made, { recursive: true });
});
afterAll(() => server.close());

beforeEach(() => {
  asked.length = 0;
  folder = mkdtempSync(join(tmpdir(), "holdfast-official-"));
  const sum = createHash("sha256").update(archive).digest("hex");
  files = { [ARCHIVE]: archive, "pulumi-3.250.0-checksums.txt": `${"0".repeat(64)}  pulumi-v3.250.0-darwin-x64.tar.gz\n${sum}  ${ARCHIVE}\n` };
  return () => rmSync(folder, { recursive: true, force: true });
});

const release = (sha256?: string): Release => ({ releases, version: "3.250.0", platform: "linux-x64", sha256 });
const install = (sha256?: string): Promise<void> => installRelease(release(sha256), folder, () => undefined);

describe("installRelease", () => {
  it("unpacks what the published checksum says into bin", async () => {
    await install();
    expect(execFileSync(join(folder, "bin", "pulumi")).toString()).toBe("v3.250.0\n");
  });

  it("believes the pin and not the published checksum where there is one", async () => {
    await expect(install("f".repeat(64))).rejects.toThrow(/ffff is wanted: it was not unpacked/);
    expect(asked).toEqual([`GET /${ARCHIVE}`]);
  });

  it("does not unpack an archive that was changed", async () => {
    files[ARCHIVE] = Buffer.concat([archive, Buffer.from("x")]);
    await expect(install()).rejects.toThrow("it was not unpacked");
  });

  it("names what the server said when there is no such release", async () => {
    delete files["pulumi-3.250.0-checksums.txt"];
    await expect(install()).rejects.toThrow("/pulumi-3.250.0-checksums.txt answered 404");
  });
});

describe("checksumIn", () => {
  it("reads both of sha256sum's forms and nothing that is no checksum", () => {
    const sum = "ab".repeat(32);
    expect(checksumIn(`${sum} *${ARCHIVE}\n`, ARCHIVE)).toBe(sum);
    expect(checksumIn(`<html>  ${ARCHIVE}`, ARCHIVE)).toBeUndefined();
  });
});

describe("releasesReachable", () => {
  it("asks once and remembers the answer", async () => {
    expect(await releasesReachable(folder, releases)).toBe("reachable");
    expect(await releasesReachable(folder, releases)).toBe("reachable");
    expect(asked).toEqual(["HEAD /pulumi-3.250.0-checksums.txt"]);
  });

  it("asks again after a day", async () => {
    await releasesReachable(folder, releases);
    const record = join(folder, "engine", "releases.json");
    writeFileSync(record, JSON.stringify({ ...JSON.parse(readFileSync(record, "utf8")) as object, answer: "unreachable", at: Date.now() - 25 * 3_600_000 }));
    expect(await releasesReachable(folder, releases)).toBe("reachable");
  });

  it("takes a host that cannot be reached for unreachable, and a captive portal's answer too", async () => {
    expect(await releasesReachable(folder, "http://127.0.0.1:1")).toBe("unreachable");
    files = {};
    expect(await releasesReachable(folder, releases)).toBe("unreachable");
  });
});
