import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { NostrEvent } from "../../../bunker/relays/relays.js";
import { createRequests } from "../../../bunker/requests.js";

const event = (id: string, kind: number, to: string): NostrEvent => ({ id, kind, pubkey: "c", content: "", created_at: 0, tags: [["p", to]], sig: "" });

function setUp(takes = 0) {
  const served: string[] = [];
  const serve = (who: string) => async ({ id }: NostrEvent): Promise<void> => {
    if (takes > 0) await wait(takes);
    served.push(`${who} ${id}`);
  };
  return { served, requests: createRequests({ identity: "me", clients: new Set(["c"]), client: serve("client"), admin: serve("admin"), dropped: () => {} }) };
}

describe("requests", () => {
  it("of admins are served at once, of clients after the start, and none is lost", async () => {
    const { served, requests } = setUp();
    for (let index = 0; index < 50; index++) requests.take(event(String(index), 24133, "key"));
    requests.take(event("a", 24134, "me"));
    requests.take(event("b", 24133, "me"));
    await wait(5);
    expect(served).toEqual(["admin a", "admin b"]);
    await requests.open();
    requests.take(event("50", 24133, "key"));
    await requests.close(1000);
    expect(served.slice(2)).toEqual(Array.from({ length: 51 }, (_, index) => `client ${index}`));
  });

  it("in hand are finished before the end, and later ones are not taken", async () => {
    const { served, requests } = setUp(50);
    await requests.open();
    requests.take(event("1", 24133, "key"));
    const end = requests.close(5000);
    requests.take(event("2", 24133, "key"));
    await end;
    expect(served).toEqual(["client 1"]);
  });

  it("that never end do not hold up the end", async () => {
    const { requests } = setUp();
    void requests.serve(() => new Promise(() => {}));
    const start = performance.now();
    await requests.close(50);
    expect(performance.now() - start).toBeLessThan(1000);
  });
});
