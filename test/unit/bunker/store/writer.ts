import { writeSync } from "node:fs";
import { openKeyring } from "../../../../bunker/keyring/open.js";
import { openStore } from "../../../../bunker/store/open.js";

/** What the writer was told is on the disk. One line of JSON each. */
export type Durable =
  | { readonly is: "key"; readonly name: string; readonly publicKey: string }
  | { readonly is: "policy"; readonly id: number; readonly rules: number }
  | { readonly is: "token"; readonly keyName: string; readonly secret: string }
  | { readonly is: "redeemed"; readonly keyName: string; readonly secret: string; readonly client: string }
  | { readonly is: "use"; readonly ruleId: number; readonly clientId: number; readonly sequence: number; readonly hash: string };

const [path, round] = process.argv.slice(2) as [string, string];
const store = openStore(path, Date.now);
const keyring = openKeyring({ store, log: () => undefined, logN: 1 });
// Before the next change begins, the parent has it.
const say = (what: Durable): void => { writeSync(1, `${JSON.stringify(what)}\n`); };

for (let number = 0; ; number++) {
  const keyName = `key ${round}.${number}`;
  const { publicKey } = await keyring.create(keyName, "passphrase");
  say({ is: "key", name: keyName, publicKey });
  const policy = store.policies.add({ name: keyName, rules: [{ method: "ping", cap: { uses: 1000 } }, { method: "sign_event" }] });
  say({ is: "policy", id: policy.id, rules: policy.rules.length });
  const token = store.tokens.add({ keyName, clientName: "client", policyId: policy.id });
  say({ is: "token", keyName, secret: token.secret });
  const client = store.tokens.redeem(token.id, publicKey, Date.now());
  say({ is: "redeemed", keyName, secret: token.secret, client: publicKey });
  for (let use = 0; use < 5; use++) {
    const ruleId = policy.rules[0]!.id;
    const { sequence, hash } = store.record({ action: "ping", who: publicKey, outcome: "allowed", keyName }, Date.now(), { clientId: client.id, ruleId });
    say({ is: "use", ruleId, clientId: client.id, sequence, hash });
  }
}
