import { grantMethods } from "./grants.js";
import { keyMethods } from "./keys.js";
import { method, type AdminContext, type AdminMethod } from "./method.js";
import { auditFilter, recipients } from "./params.js";

/** All that an admin (kind 24134) and the operator (control socket) may ask for. `create_account` is left out: nsecbunkerd has it open to anyone. */
export const methods: ReadonlyMap<string, AdminMethod> = new Map<string, AdminMethod>(Object.entries({
  ping: method("never", [], () => "ok"),
  ...keyMethods,
  ...grantMethods,
  status: method("never", [], status),
  metrics: method("never", [], ({ metrics }) => metrics()),
  query_audit: method("never", [auditFilter], ({ store }, [filter]) => store.audit.query({
    limit: filter?.limit ?? 100,
    ...(filter?.key !== undefined ? { keyName: filter.key } : {}),
    ...(filter?.who !== undefined ? { who: filter.who } : {}),
    ...(filter?.since !== undefined ? { since: Date.parse(filter.since) } : {}),
    ...(filter?.after !== undefined ? { after: filter.after } : {}),
  })),
  verify_audit: method("never", [], ({ store }) => store.audit.verify()),
  /** An age file, in base64. */
  backup: method("around", [recipients], async ({ backup }, [to]) => ({ backup: Buffer.from(await backup(to)).toString("base64") })),
}));

function status({ store, keyring, holds, relays, relayUrls, identity }: AdminContext): unknown {
  const held = holds.names();
  return {
    identity,
    keys: keyring.names().map(({ name, publicKey, open }) => ({ name, publicKey: publicKey ?? null, is: open, held: held.has(name) })),
    relays: relays.states(),
    clientRelays: relayUrls,
    audit: store.audit.head(),
  };
}
