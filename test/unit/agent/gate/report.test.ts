import { describe, expect, it } from "vitest";
import { gateReport, say } from "../../../../agent/gate/report.js";
import { fakeHost } from "./fakeHost.js";

const working = { state: "working", phase: "importing channel.backup" } as const;

describe("the gate's report", () => {
  it("is its last word, at once, to whoever asks for no more", async () => {
    const { host } = await fakeHost();
    await say(host, working);
    const before = host.now();
    for (const question of ["", "{}"]) expect(await gateReport(question, host)).toMatchObject(working);
    expect(host.now()).toEqual(before);
  });

  it("waits for news when this one is known, and gives them as they come", async () => {
    const { host } = await fakeHost();
    await say(host, working);
    const { changed } = await gateReport("", host);
    let looks = 0;
    const pause = async (milliseconds: number): Promise<void> => {
      await host.pause(milliseconds);
      if ((looks += 1) === 3) await say(host, { state: "open", phase: "open" });
    };
    expect(await gateReport(JSON.stringify({ since: changed }), { ...host, pause })).toMatchObject({ state: "open" });
    expect(looks).toBe(3);
  });

  it("gives the known one again after 20 seconds without news, so that a deployer sees that the host is there", async () => {
    const { host } = await fakeHost();
    await say(host, working);
    const { changed } = await gateReport("", host);
    expect(await gateReport(JSON.stringify({ since: changed }), host)).toMatchObject({ ...working, changed });
    expect(host.now().getTime() - Date.parse(changed)).toBe(20_000);
  });

  it("refuses a question that it does not know", async () => {
    const { host } = await fakeHost();
    await expect(gateReport('{"after":1}', host)).rejects.toThrow("what gate-report was asked");
  });
});
