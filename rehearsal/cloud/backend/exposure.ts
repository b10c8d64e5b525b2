import type { Addresses, FilterRule } from "../backend.js";
import { wallRuleset } from "./filter.js";
import { namesOfServer, type Place } from "./place.js";
import { existing, keep, whileNobodyElse } from "./records.js";
import { changeAddresses, isConnected, putUpWall, serverHardwareAddress } from "./wires.js";

/** Which addresses a server answers at: at once if it is on, and whenever it is on. @throws when somebody else on the bridge has one */
export async function setAddresses(place: Place, id: number, addresses: Addresses): Promise<void> {
  const names = namesOfServer(place, id);
  await whileNobodyElse(names, async () => {
    const record = await existing(place, id);
    if (isConnected(names)) await changeAddresses(names, serverHardwareAddress(id), record.addresses, addresses);
    await keep(place, { ...record, addresses });
  });
}

/** What is let through to a server: at once if it is on, and whenever it is on. @throws when a rule is none, before anything changed */
export async function setFilter(place: Place, id: number, rules: readonly FilterRule[] | undefined): Promise<void> {
  wallRuleset(rules);
  const names = namesOfServer(place, id);
  await whileNobodyElse(names, async () => {
    const { filter: _, ...record } = await existing(place, id);
    await keep(place, { ...record, ...(rules ? { filter: rules } : {}) });
    if (isConnected(names)) await putUpWall(names, rules);
  });
}
