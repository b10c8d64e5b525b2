import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";

/** Where Hetzner's API is, and what opens it. */
export interface HetznerAccess {
  readonly token: string;
  /** With the version, without a slash at the end. */
  readonly endpoint: string;
}

export const hetznerEndpoint = "https://api.hetzner.cloud/v1";

/** The API said no. Never holds the token. */
export class HetznerRefusal extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
}

const id = z.int().positive();
const location = z.object({ name: z.string() }).nullish();
const labels = z.record(z.string(), z.string());
const base = z.object({ id, name: z.string(), labels });

/** What we want to know of each kind of resource; the API says more. @see https://docs.hetzner.cloud */
export const resourceSchemas = {
  servers: base.extend({ status: z.string(), protection: z.object({ delete: z.boolean(), rebuild: z.boolean() }) }),
  primary_ips: base.extend({ type: z.enum(["ipv4", "ipv6"]), location, protection: z.object({ delete: z.boolean() }) }),
  volumes: base.extend({ size: z.int(), server: id.nullable(), location, protection: z.object({ delete: z.boolean() }) }),
  firewalls: base,
  placement_groups: base,
  ssh_keys: base.extend({ public_key: z.string() }),
} as const;
export type Kind = keyof typeof resourceSchemas;
export type ResourceOf<K extends Kind> = z.infer<(typeof resourceSchemas)[K]>;

const failureSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
const actionSchema = z.object({ action: z.object({ id, status: z.enum(["running", "success", "error"]), error: z.object({ code: z.string(), message: z.string() }).nullish() }) });

/** Milliseconds: for one answer; for one request with all of its attempts; for one action. */
const [ANSWER, REQUEST, ACTION] = [30_000, 120_000, 300_000];

/** All resources of a kind that have a label. @param selector of the API's form; all resources when absent */
export async function listHetzner<K extends Kind>(access: HetznerAccess, kind: K, selector?: string): Promise<ResourceOf<K>[]> {
  const all: ResourceOf<K>[] = [];
  for (let page: number | null = 1; page !== null;) {
    const query: string = new URLSearchParams({ page: String(page), per_page: "50", ...(selector !== undefined && { label_selector: selector }) }).toString();
    const answer = await ask(access, "GET", `/${kind}?${query}`);
    const one = z.object({ [kind]: z.array(resourceSchemas[kind]), meta: z.object({ pagination: z.object({ next_page: z.int().nullable() }) }).optional() }).parse(answer);
    all.push(...(one[kind] as ResourceOf<K>[]));
    page = (one.meta as { readonly pagination: { readonly next_page: number | null } } | undefined)?.pagination.next_page ?? null;
  }
  return all;
}

/** Whether the project has a resource of this id. A project that is not the resource's own says no, like one that lost it. */
export async function existsInHetzner(access: HetznerAccess, kind: Kind, resourceId: number): Promise<boolean> {
  try {
    await ask(access, "GET", `/${kind}/${resourceId}`);
    return true;
  } catch (error) {
    if (error instanceof HetznerRefusal && error.status === 404) return false;
    throw error;
  }
}

/** What Hetzner protects. */
export const protectedKinds = ["servers", "volumes", "primary_ips"] as const;

/** Lets something be deleted (and a server be rebuilt): what its provider does not do by itself before it deletes one. */
export const liftProtection = (access: HetznerAccess, kind: (typeof protectedKinds)[number], resourceId: number): Promise<void> =>
  act(access, `/${kind}/${resourceId}/actions/change_protection`, kind === "servers" ? { delete: false, rebuild: false } : { delete: false });

export const powerOn = (access: HetznerAccess, server: number): Promise<void> => act(access, `/servers/${server}/actions/poweron`);

/** Asks a server to stop, and waits for it for a minute: whoever writes to its volume may end in peace. */
export async function shutDown(access: HetznerAccess, server: number): Promise<void> {
  await act(access, `/servers/${server}/actions/shutdown`);
  for (const end = Date.now() + 60_000; Date.now() < end; await pause(1000)) {
    const { server: { status } } = z.object({ server: z.object({ status: z.string() }) }).parse(await ask(access, "GET", `/servers/${server}`));
    if (status === "off") return;
  }
  throw new Error(`Server ${server} did not stop within a minute.`);
}

export const deleteServer = (access: HetznerAccess, server: number): Promise<void> => act(access, `/servers/${server}`, undefined, "DELETE");

/** Asks for an action, and waits for its end. */
async function act(access: HetznerAccess, path: string, body?: unknown, method: "POST" | "DELETE" = "POST"): Promise<void> {
  let { action } = actionSchema.parse(await ask(access, method, path, body));
  for (const end = Date.now() + ACTION; action.status === "running"; ({ action } = actionSchema.parse(await ask(access, "GET", `/actions/${action.id}`)))) {
    if (Date.now() > end) throw new Error(`Hetzner did not end its action ${action.id} (${path}) within ${ACTION / 60_000} minutes. Run the same command again.`);
    await pause(500);
  }
  if (action.status === "error") throw new Error(`Hetzner could not do ${path}: ${action.error?.message ?? "it did not say why"}. Run the same command again.`);
}

/** Asks until there is an answer: a busy or failing API, a rate limit and a lost connection are waited out, for everything asked here can be asked twice. */
async function ask(access: HetznerAccess, method: "GET" | "POST" | "DELETE", path: string, body?: unknown): Promise<unknown> {
  let wait = 500;
  for (const end = Date.now() + REQUEST; ; wait = Math.min(wait * 2, 15_000)) {
    const result = await once(access, method, path, body).catch((error: unknown) => error);
    const failed = result instanceof HetznerRefusal ? result.status === 429 || result.status >= 500 || result.code === "locked" || result.code === "conflict" : result instanceof Error;
    if (!failed) {
      if (result instanceof Error) throw result;
      return result;
    }
    if (Date.now() + wait > end) throw new Error(`Hetzner's API at ${access.endpoint} gave no answer to ${method} ${path.split("?")[0]} within ${REQUEST / 1000} seconds: ${(result as Error).message}. Nothing was changed by it; run the same command again.`);
    await pause(wait);
  }
}

async function once({ token, endpoint }: HetznerAccess, method: string, path: string, body: unknown): Promise<unknown> {
  const response = await fetch(`${endpoint}${path}`, {
    method, signal: AbortSignal.timeout(ANSWER), headers: { authorization: `Bearer ${token}`, ...(body !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.ok) return JSON.parse(text) as unknown;
  const said = failureSchema.safeParse(jsonOr(text));
  const { code, message } = said.success ? said.data.error : { code: "unknown", message: text.slice(0, 200) };
  if (response.status === 401 || response.status === 403) {
    throw new HetznerRefusal(response.status, code, `Hetzner's API at ${endpoint} does not take the token (${response.status} ${code}: ${message}). Nothing was changed. Is it this project's, not revoked, and allowed to write? \`pulumi config set --secret hcloud:token\`, or HCLOUD_TOKEN.`);
  }
  throw new HetznerRefusal(response.status, code, `Hetzner's API: ${response.status} ${code}: ${message} (${method} ${path.split("?")[0]})`);
}

function jsonOr(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
