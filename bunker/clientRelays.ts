import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeSynced } from "./files.js";
import type { PublicKey } from "./model.js";

/** Where clients listen that came by `nostrconnect://`: at relays of their own, which the bunker then hears too, also after a restart. */
export interface ClientRelays {
  /** Of all clients that still are any. */
  urls(isClient: (publicKey: PublicKey) => "is" | "was"): readonly string[];
  /** On the disk before it returns. @throws when it would be more than 32 relays */
  add(client: PublicKey, urls: readonly string[]): void;
}

const MOST = 32;
const format = z.strictObject({ format: z.literal("holdfast-client-relays/1"), clients: z.record(z.string(), z.array(z.string())) });

/** @throws when `client-relays.json` in the data folder is damaged */
export function openClientRelays(dataFolder: string): ClientRelays {
  const path = join(dataFolder, "client-relays.json");
  let clients = read(path);
  return {
    urls: (isClient) => [...new Set(Object.entries(clients).flatMap(([client, urls]) => (isClient(client) === "is" ? urls : [])))],
    add: (client, urls) => {
      const next = { ...clients, [client]: [...urls] };
      if (new Set(Object.values(next).flat()).size > MOST) throw new Error(`Clients brought more than ${MOST} relays of their own. Let this one use the bunker's relays (bunker://), or take clients that are gone out of ${path}.`);
      if (JSON.stringify(next) === JSON.stringify(clients)) return;
      writeSynced(path, `${JSON.stringify({ format: "holdfast-client-relays/1", clients: next })}\n`);
      clients = next;
    },
  };
}

function read(path: string): Readonly<Record<PublicKey, readonly string[]>> {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw error;
  }
  try {
    return format.parse(JSON.parse(text)).clients;
  } catch {
    // Whatever does not fit it: the remedy is the same.
    throw new Error(`${path} is damaged. Remove it: clients that came by nostrconnect:// and listen at relays of their own must then be connected again.`);
  }
}
