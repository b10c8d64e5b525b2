import { describe, expect, it } from "vitest";
import { chainCommand, chainConfiguration } from "../../../../rehearsal/system/chain.js";

describe("the chain", () => {
  it("listens where nodes reach it, and gives RPC to this machine alone", () => {
    const text = chainConfiguration({ folder: "/state/chain", programs: "/programs", peer: "10.231.0.1:18444", rpc: { port: 18445, user: "u", password: "p", certificate: "/state/chain/rpc.cert" } }, "bcrt1q");
    expect(text.split("\n")).toContain("listen=10.231.0.1:18444");
    expect(text.split("\n")).toContain("rpclisten=127.0.0.1:18445");
    expect(text.split("\n")).toContain("miningaddr=bcrt1q");
  });
  it("takes from root's btcd what would let it delete its blocks, and has nothing to take from a user's", () => {
    expect(chainCommand("/programs", "/c", 0)).toEqual(["setpriv", "--bounding-set=-dac_override,-dac_read_search", "/programs/btcd", "--configfile=/c"]);
    expect(chainCommand("/programs", "/c", 1000)).toEqual(["/programs/btcd", "--configfile=/c"]);
  });
});
