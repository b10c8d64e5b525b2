import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { once } from "node:events";
import { describe, expect, it, onTestFinished } from "vitest";
import { superviseRelays } from "../../../../bunker/relays/supervise.js";
import { eventually, listen, quick, relay, request } from "./world.js";

/** SOCKS5 without authentication, CONNECT alone (RFC 1928); every name leads to 127.0.0.1. */
async function startProxy(): Promise<{ readonly port: number; readonly asked: string[]; readonly sockets: Set<Socket> }> {
  const asked: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    sockets.add(client);
    client.on("error", () => undefined);
    client.on("close", () => sockets.delete(client));
    client.once("data", () => {
      client.write(Buffer.from([5, 0]));
      client.once("data", (wish) => {
        const isName = wish[3] === 3;
        const end = isName ? 5 + wish[4]! : 8;
        asked.push(isName ? wish.subarray(5, end).toString() : `address ${[...wish.subarray(4, 8)].join(".")}`);
        const target = connect(wish.readUInt16BE(end), "127.0.0.1");
        target.on("error", () => client.end(Buffer.from([5, 5, 0, 1, 0, 0, 0, 0, 0, 0])));
        target.on("connect", () => {
          client.write(Buffer.from([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]));
          client.pipe(target).pipe(client);
        });
        client.on("close", () => target.destroy());
      });
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, asked, sockets };
}

describe("a proxy", () => {
  it.each(["socks5h", "socks5"])("written as %s resolves the relay's name, and everything goes through it, after an outage too", async (scheme) => {
    const [at, proxy] = await Promise.all([relay(), startProxy()]);
    const url = `ws://relayrelayrelay.onion:${at.port}`;
    const bunker = listen([url], { proxy: `${scheme}://127.0.0.1:${proxy.port}`, timing: { ...quick, connect: 1_000 } });
    await bunker.relays.ready(3_000);
    expect(proxy.asked).toEqual(["relayrelayrelay.onion"]);
    expect(await bunker.relays.probe(1_000)).toEqual([url]);
    await at.restart({ afterMs: 300 });
    await eventually(() => {
      at.broadcast(request(bunker.key));
      expect(bunker.events.length).toBeGreaterThan(0);
    });
    expect(new Set(proxy.asked)).toEqual(new Set(["relayrelayrelay.onion"]));
  });

  it("that says nothing costs a deadline at a time, and no sockets are left behind", async () => {
    const held = new Set<Socket>();
    const mute = createServer((socket) => {
      held.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => held.delete(socket));
      socket.resume();
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void mute.close());
    await once(mute, "listening");
    const bunker = listen(["ws://relay.onion"], { proxy: `socks5h://127.0.0.1:${(mute.address() as AddressInfo).port}` });
    await eventually(() => expect(bunker.relays.states()[0]!.attempts).toBeGreaterThan(5));
    await bunker.relays.close();
    await eventually(() => expect(held.size).toBe(0));
  });

  it("that is none is refused by name", () => {
    expect(() => superviseRelays({ urls: [], filters: () => [], onEvent: () => undefined, secretKey: new Uint8Array(32).fill(1), count: () => undefined, log: () => undefined, proxy: "http://127.0.0.1:8080" })).toThrow("http://127.0.0.1:8080");
  });
});
