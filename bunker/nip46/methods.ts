import type { ClientMethod } from "../model.js";
import { encryption } from "./encryption.js";
import { connect, getPublicKey, logout, ping, switchRelays } from "./presence.js";
import { signEvent } from "./signEvent.js";
import type { Method } from "./task.js";

/** @see NIP-46, Methods/Commands */
const methods: Readonly<Record<ClientMethod, Method>> = {
  connect,
  ping,
  get_public_key: getPublicKey,
  sign_event: signEvent,
  ...encryption,
  switch_relays: switchRelays,
  logout,
};

export function methodOf(name: string): Method | undefined {
  return Object.hasOwn(methods, name) ? methods[name as ClientMethod] : undefined;
}
