import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import { startCloud, type Cloud, type CloudOptions } from "../../../../rehearsal/cloud/cloud.js";
import { fakeBackend, type FakeBackend } from "../../../cloud/fakeBackend.js";

export interface Reply {
  readonly status: number;
  // The shape is what each test asserts.
  readonly body: Tree;
  readonly headers: Headers;
}

interface Branch { readonly [key: string]: Tree }
/** JSON of which a test knows the shape. */
export type Tree = Branch & readonly Tree[];

export interface Try {
  readonly cloud: Cloud;
  readonly backend: FakeBackend;
  call(method: string, path: string, body?: unknown, token?: string): Promise<Reply>;
  control(method: string, path: string, body?: unknown): Promise<Reply>;
}

const folders: string[] = [];
/** Gone after the file's last test. */
export function freshFolder(): string {
  folders.push(mkdtempSync(join(tmpdir(), "holdfast-cloud-")));
  return folders.at(-1)!;
}
afterAll(() => folders.forEach((folder) => rmSync(folder, { recursive: true, force: true })));

export async function request(url: string, method: string, body: unknown, token: string): Promise<Reply> {
  const response = await fetch(url, { method, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }) });
  const text = await response.text();
  return { status: response.status, body: (text === "" || !response.headers.get("content-type")?.includes("json") ? {} : JSON.parse(text)) as Tree, headers: response.headers };
}

/** A cloud over a backend in memory. */
export async function tryCloud(options: Partial<CloudOptions> & { readonly backend?: FakeBackend } = {}): Promise<Try> {
  const backend = options.backend ?? fakeBackend();
  const cloud = await startCloud({ state: freshFolder(), ...options, backend });
  return {
    cloud, backend,
    call: (method, path, body, token = Object.values(cloud.tokens)[0]!.write) => request(`${cloud.endpoint}${path}`, method, body, token),
    control: (method, path, body) => request(`http://127.0.0.1:${cloud.port}/_holdfast${path}`, method, body, cloud.controlToken),
  };
}

export const publicKey = (name: string): string => {
  const part = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
  return `ssh-ed25519 ${Buffer.concat([part(Buffer.from("ssh-ed25519")), part(Buffer.from(name.padEnd(32, ".")))]).toString("base64")} ${name}`;
};

/** A number at the end of a tree's branch. */
export const numberAt = (leaf: Tree | undefined): number => Number(leaf);
