import { describe, expect, it } from "vitest";
import { createMetrics, serveMetrics } from "../../../bunker/metrics.js";

const metrics = () => createMetrics({
  keys: () => [{ name: "a", open: "open" }, { name: "b", open: "locked" }, { name: "c", open: "open" }],
  relays: () => [{ url: "wss://a.example", is: "listening", provenAt: 1_700_000_000_500, attempts: 0 }, { url: 'wss://"b".example', is: "waiting", attempts: 3 }],
});

describe("metrics", () => {
  it("shows open and locked keys by the names that dashboards know", () => {
    const text = metrics().render();
    expect(text).toContain("\nnsecbunkerd_keys_unlocked_total 2\n");
    expect(text).toContain("\nnsecbunkerd_keys_locked_total 1\n");
    expect(text).toContain('nsecbunkerd_relay_listening{relay="wss://a.example"} 1');
    expect(text).toContain('nsecbunkerd_relay_listening{relay="wss://\\"b\\".example"} 0');
    expect(text).toContain("nsecbunkerd_last_probe_seconds 1700000000.5");
  });

  it("counts, and makes no label out of what a stranger sends", () => {
    const counting = metrics();
    counting.deed({ action: "sign_event", who: "x", outcome: "allowed" });
    counting.deed({ action: "sign_event", who: "x", outcome: "allowed" });
    counting.deed({ action: 'x"} 1\nevil 2', who: "x", outcome: "refused" });
    counting.event("malformed");
    counting.client("answered");
    counting.admin("stranger");
    const text = counting.render();
    expect(text).toContain('nsecbunkerd_requests_total{method="sign_event",outcome="allowed"} 2');
    expect(text).toContain('nsecbunkerd_requests_total{method="other",outcome="refused"} 1');
    expect(text).not.toContain("evil");
    expect(text).toContain('nsecbunkerd_events_total{class="malformed"} 1');
    expect(text).toContain('nsecbunkerd_client_events_total{outcome="answered"} 1');
    expect(text).toContain('nsecbunkerd_admin_events_total{outcome="stranger"} 1');
  });

  it("is served at /metrics and nowhere else", async () => {
    const server = await serveMetrics({ host: "127.0.0.1", port: 0 }, () => "one 1\n");
    const { port } = server.address() as { port: number };
    expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toBe("one 1\n");
    expect((await fetch(`http://127.0.0.1:${port}/`)).status).toBe(404);
    await expect(serveMetrics({ host: "127.0.0.1", port }, () => "")).rejects.toThrow("NSECBUNKER_METRICS");
    server.close();
    server.closeAllConnections();
  });
});
