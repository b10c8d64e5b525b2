import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { existsInHetzner, liftProtection, listHetzner, type HetznerAccess } from "../../../../components/host/hetznerApi.js";

interface Answer { readonly status?: number; readonly body?: unknown; readonly reset?: true }
let server: Server;
let asked: string[];
/** An API that gives these answers, one after the other. */
async function api(...answers: readonly Answer[]): Promise<HetznerAccess> {
  const left = [...answers];
  asked = [];
  server = createServer((request: IncomingMessage, response) => {
    let text = "";
    request.on("data", (chunk) => { text += String(chunk); });
    request.on("end", () => {
      asked.push(`${request.method} ${request.url}${text === "" ? "" : ` ${text}`}`);
      const { status = 200, body, reset } = left.shift() ?? { status: 500 };
      if (reset) return void request.socket.destroy();
      response.writeHead(status, { "content-type": "application/json" }).end(typeof body === "string" ? body : JSON.stringify(body ?? {}));
    });
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  return { token: "the-token", endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1` };
}
afterEach(() => new Promise((done) => { server.close(done); server.closeAllConnections(); }));

const group = (id: number) => ({ id, name: `g${id}`, labels: {} });
const page = (next: number | null, ...ids: number[]): Answer => ({ body: { placement_groups: ids.map(group), meta: { pagination: { next_page: next } } } });
const failure = (status: number, code: string): Answer => ({ status, body: { error: { code, message: `it is ${code}` } } });

describe("Hetzner's API", () => {
  it("is read to the last page", async () => {
    const access = await api(page(2, 1, 2), page(null, 3));
    expect((await listHetzner(access, "placement_groups", "a=b,c=d")).map(({ id }) => id)).toEqual([1, 2, 3]);
    expect(asked).toEqual([1, 2].map((number) => `GET /v1/placement_groups?page=${number}&per_page=50&label_selector=a%3Db%2Cc%3Dd`));
  });

  it("is asked again when it is busy, out of order, or cut off", async () => {
    const access = await api(failure(429, "rate_limit_exceeded"), { status: 502, body: "<html>" }, { reset: true }, page(null, 1));
    expect(await listHetzner(access, "placement_groups")).toHaveLength(1);
    expect(asked).toHaveLength(4);
  });

  it("is not asked again for a token that it does not take, and the token is not shown", async () => {
    const access = await api(failure(401, "unauthorized"));
    const error = await listHetzner(access, "servers").catch((one: unknown) => one as Error);
    expect(String(error)).toMatch(/does not take the token \(401 unauthorized: it is unauthorized\)\. Nothing was changed/);
    expect(`${String(error)} ${JSON.stringify(error)}`).not.toContain("the-token");
    expect(asked).toHaveLength(1);
  });

  it("says whether something is there, and does not take another refusal for an absence", async () => {
    expect(await existsInHetzner(await api(failure(404, "not_found")), "primary_ips", 7)).toBe(false);
    server.close();
    expect(await existsInHetzner(await api({ body: { primary_ip: {} } }), "primary_ips", 7)).toBe(true);
    server.close();
    await expect(existsInHetzner(await api(failure(403, "forbidden")), "primary_ips", 7)).rejects.toThrow(/does not take the token/);
  });

  it("lifts the two protections of a server together, and waits for the action", async () => {
    const action = (status: string) => ({ body: { action: { id: 5, status } } });
    await liftProtection(await api(action("running"), action("success")), "servers", 42);
    expect(asked).toEqual(['POST /v1/servers/42/actions/change_protection {"delete":false,"rebuild":false}', "GET /v1/actions/5"]);
    server.close();
    await expect(liftProtection(await api({ body: { action: { id: 5, status: "error", error: { code: "x", message: "out of paper" } } } }), "volumes", 44)).rejects.toThrow(/could not do .volumes.44.actions.change_protection: out of paper/);
    expect(asked[0]).toBe('POST /v1/volumes/44/actions/change_protection {"delete":false}');
  });
});
